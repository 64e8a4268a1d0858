"""`mmgenre.prepare`: a table of movies becomes a prepared data set."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from etils import epath

from mmgenre.api import child_command
from mmgenre.catalogue.data_frame import as_catalogue
from mmgenre.config_values import hint
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import UserError

StrPath = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True, repr=False)
class PreparedData:
    """A prepared data set; made by `mmgenre.prepare` or `open`.

    Attributes:
      path: its folder.
      name: what reports call it.
      genres: their names, in the order of the labels.
      counts: movies of each split: "train", "validation" and "test".
    """

    path: epath.Path
    name: str
    genres: tuple[str, ...]
    counts: dict[str, int]

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Opens the folder of a prepared data set; raises UserError where it is none."""
        info = open_dataset(path).info
        counts = {split: found.num_movies for split, found in info.splits.items()}
        return cls(epath.Path(path), info.name, info.genres, counts)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {split}" for split, count in self.counts.items())
        return f"PreparedData({str(self.path)!r}: {counts} movies, {len(self.genres)} genres)"


def prepare(
    movies: Any,
    posters: StrPath | None = None,
    *,
    out: StrPath | None = None,
    quiet: bool = False,
    **options: Any,
) -> PreparedData:
    """Prepares a data set, as `python -m data_prep.prepare` does, in a process of its own.

    What is done is not done twice: call it again after an interruption, or, with the same `out`,
    with a table that has grown.

    Args:
      movies: a catalogue (CSV, JSON, Parquet or a folder), or a pandas DataFrame; columns are found
        by their usual names.
      posters: a folder of posters, or the address of an image server; None for none.
      out: folder of the data set; by default `data/` and the catalogue's name, for a DataFrame
        `data/movies-` and the start of a digest of its rows, so that no other one's data set is
        there. What a folder holds of other movies is replaced.
      quiet: whether to print nothing.
      **options: other settings of `data_prep.options.PrepareConfig`, such as
        `genres="auto"` or `columns={"overview": "plot"}`.

    Raises:
      UserError: an input is missing or unusable, or an option does not exist; in the words of the
        command.
      RunError: it failed otherwise.
    """
    arguments = _arguments(options)
    with _catalogue(movies) as catalogue:
        folder = _default_folder(movies, catalogue) if out is None else os.fspath(out)
        arguments += ["--metadata", str(catalogue), "--out", folder]
        if posters is not None:
            arguments += ["--posters", os.fspath(posters)]
        shown: child_command.Shown = "nothing" if quiet else "all"
        child_command.run("data_prep.prepare", arguments, shown=shown)
    return PreparedData.open(folder)


@contextlib.contextmanager
def _catalogue(movies: Any) -> Iterator[StrPath]:
    """A context with the file of the movies: its content, and not its name, tells what is done."""
    if isinstance(movies, str | os.PathLike):
        yield movies
        return
    with as_catalogue(movies, choices="the path of a catalogue, or a pandas DataFrame") as path:
        yield path


def _default_folder(movies: Any, catalogue: StrPath) -> str:
    """Names a folder after the file of a catalogue, or after the content of a DataFrame."""
    if isinstance(movies, str | os.PathLike):
        return f"data/{Path(movies).name.partition('.')[0] or 'movies'}"
    with open(catalogue, "rb") as rows:
        return f"data/movies-{hashlib.file_digest(rows, 'sha256').hexdigest()[:8]}"


def _arguments(options: Mapping[str, Any]) -> list[str]:
    """Returns options as the command takes them; it checks their values."""
    from data_prep.options import PrepareConfig  # Late: all other calls do without preparation.

    own = {"metadata", "posters", "out", "progress"}
    known = {field.name: field for field in dataclasses.fields(PrepareConfig)}
    known = {name: field for name, field in known.items() if name not in own}
    arguments: list[str] = []
    for name, value in options.items():
        if name not in known:
            raise UserError(f"prepare has no option {name!r}; {hint(name, known)}")
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if name == "beam_options":
            arguments += map(str, value)
        elif value is True:
            arguments.append(flag)
        elif isinstance(value, Mapping):
            arguments.append(f"{flag}={','.join(f'{role}={col}' for role, col in value.items())}")
        elif isinstance(value, tuple | list):
            arguments.append(f"{flag}={','.join(map(str, value)) or 'none'}")
        else:
            arguments.append(f"{flag}={value}")
    return arguments
