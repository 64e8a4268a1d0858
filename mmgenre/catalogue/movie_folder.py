"""A folder with a file of JSON for each movie, and its poster beside it: the form of MM-IMDb.

    dataset/0085334.json     {"title": ..., "plot": [...], "genres": [...]}
    dataset/0085334.jpeg
    split.json               {"train": ["0085334", ...], "dev": [...], "test": [...]}

https://archive.org/details/mmimdb (Arevalo et al., Gated Multimodal Units for Information Fusion,
2017). The files of the movies may also lie beside `split.json`.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from etils import epath

from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.errors import UserError
from mmgenre.machine.json_files import read_json

SPLIT_FILE: Final = "split.json"
FIELDS: Final = ("id", "title", "plot", "genres", "poster", "split")
_FOLDER: Final = "dataset"
_POSTERS: Final = (".jpeg", ".jpg", ".png")
_MAX_MOVIE: Final = 8 << 20  # Bytes of a movie's file.


def is_movie_folder(path: epath.PathLike) -> bool:
    """Whether a folder holds a file of JSON for each movie."""
    path = epath.Path(path)
    if not path.is_dir():
        return False
    names = set(os.listdir(movies_in(path)))
    stems = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    return len(stems) > 1 and any(stem + end in names for stem in stems for end in _POSTERS)


def movies_in(path: epath.PathLike) -> epath.Path:
    """The folder with the movies' files: `dataset` in the catalogue's, or itself."""
    path = epath.Path(path)
    return path / _FOLDER if (path / _FOLDER).is_dir() else path


class MovieFolder:
    """See `mmgenre.catalogue.table.Table`."""

    def __init__(self, path: epath.PathLike):
        """Lists the movies; raises UserError where the split's file is damaged."""
        path = epath.Path(path)
        self.folder = movies_in(path)
        self.form = "a folder with a file of JSON for each movie"
        self.notes: tuple[str, ...] = ()
        self._names = set(os.listdir(self.folder))
        self._stems = sorted(
            name.removesuffix(".json")
            for name in self._names
            if name.endswith(".json") and name != SPLIT_FILE
        )
        self._split = _read_split(path / SPLIT_FILE)
        self.columns: tuple[str, ...] = FIELDS if self._split else FIELDS[:-1]

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """Yields the cells of each movie, by its file's name; a damaged file as a `DamagedRow`."""
        for stem in self._stems:
            try:
                fields = read_json(self.folder / f"{stem}.json", _MAX_MOVIE)
            except (OSError, ValueError) as error:
                yield DamagedRow([stem], f"a movie's file cannot be read ({error})")
                continue
            if not isinstance(fields, dict):
                yield DamagedRow([stem], "a movie's file is not a JSON object")
                continue
            cells = {
                "id": stem,
                "title": fields.get("title"),
                "plot": _longest(fields.get("plot")),
                "genres": fields.get("genres"),
                "poster": next((stem + e for e in _POSTERS if stem + e in self._names), None),
                "split": self._split.get(stem),
            }
            yield [cells[name] for name in names]


def _longest(plots: Any) -> str | None:
    """Returns the longest of several texts, as the data set's authors take it."""
    if isinstance(plots, str):
        return plots
    texts = [plot for plot in plots if isinstance(plot, str)] if isinstance(plots, list) else []
    return max(texts, key=len, default=None)


def _read_split(path: epath.Path) -> dict[str, str]:
    """Returns the split of each movie by its id; empty where there is no file of it."""
    if not path.exists():
        return {}
    try:
        splits = read_json(path)
        named = ((name, ids) for name, ids in splits.items())
        return dict(
            itertools.chain.from_iterable(((str(id_), name) for id_ in ids) for name, ids in named)
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} does not list movies by split ({error})") from error
