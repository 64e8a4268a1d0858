"""The movies that reading kept, in a file that can be streamed and read at random."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import IO, Final

import numpy as np
from etils import epath

from mmgenre.machine import files

MOVIES_FILE: Final = "movies.jsonl"
OFFSETS_FILE: Final = "movies.offsets"


@dataclasses.dataclass(frozen=True, slots=True)
class Movie:
    """One row of the metadata, cleaned.

    Attributes:
      id: the movie's number in the catalogue, or its id there where that is no number.
      imdb_id: such as "tt0114709", or "".
      title: or "".
      overview: or "".
      labels: indices of its genres on the data set's list, ascending; at least one.
      poster_path: such as "/rhIRbceoE9lR4veEXuwCC2wARtG.jpg", or "".
      split: of a catalogue that brings its own, else "".
    """

    id: int | str
    imdb_id: str
    title: str
    overview: str
    labels: tuple[int, ...]
    poster_path: str
    split: str = ""

    def to_json(self) -> bytes:
        """One line, without its end."""
        fields: list[object] = [
            self.id, self.imdb_id, self.title, self.overview, self.labels, self.poster_path
        ]  # fmt: skip
        if self.split:
            fields.append(self.split)
        return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode("utf-8")

    @classmethod
    def from_json(cls, line: bytes) -> "Movie":
        """What `to_json` wrote."""
        id_, imdb_id, title, overview, labels, *others = json.loads(str(line, "utf-8"))
        return cls(id_, imdb_id, title, overview, tuple(labels), *others)


class MovieWriter:
    """Appends movies to a line-per-movie file and their offsets to another."""

    def __init__(self, lines: IO[bytes], offsets: IO[bytes]):
        self._lines = lines
        self._offsets = offsets
        self._position = 0
        self.num_movies = 0

    def write(self, movie: Movie) -> None:
        """Appends one movie."""
        line = movie.to_json() + b"\n"
        self._offsets.write(self._position.to_bytes(8, "little"))
        self._lines.write(line)
        self._position += len(line)
        self.num_movies += 1

    def close(self) -> None:
        """Ends the list of offsets; the files stay open."""
        self._offsets.write(self._position.to_bytes(8, "little"))


class MovieFile:
    """The movies of a workspace, numbered as they were read. Use as a context manager."""

    def __init__(self, workspace: epath.PathLike):
        workspace = epath.Path(workspace)
        with contextlib.ExitStack() as opened:
            self._lines = opened.enter_context((workspace / MOVIES_FILE).open("rb"))
            self._offsets = opened.enter_context((workspace / OFFSETS_FILE).open("rb"))
            self._opened = opened.pop_all()
        self._offsets.seek(0, 2)
        self._num_movies = self._offsets.tell() // 8 - 1

    def __enter__(self) -> "MovieFile":
        return self

    def __exit__(self, *unused: object) -> None:
        self._opened.close()

    def __len__(self) -> int:
        return self._num_movies

    def __getitem__(self, number: int) -> Movie:
        return next(self.range(number, number + 1))

    def range(self, start: int, stop: int) -> Iterator[Movie]:
        """Streams the movies of the numbers start <= number < stop."""
        if start >= stop:
            return
        self._offsets.seek(8 * start)
        self._lines.seek(int.from_bytes(self._offsets.read(8), "little"))
        for _ in range(start, stop):
            yield Movie.from_json(self._lines.readline())

    def __iter__(self) -> Iterator[Movie]:
        return self.range(0, len(self))


@contextlib.contextmanager
def open_writer(workspace: epath.PathLike) -> Iterator[MovieWriter]:
    """Yields a `MovieWriter`; the files appear when the block ends well."""
    workspace = epath.Path(workspace)
    with (
        files.atomic_write(workspace / MOVIES_FILE) as lines,
        files.atomic_write(workspace / OFFSETS_FILE) as offsets,
    ):
        writer = MovieWriter(lines, offsets)
        yield writer
        writer.close()


def labels_array(labels: tuple[int, ...], num_genres: int) -> np.ndarray:
    """Returns <uint8>[num_genres] with 1 at each of `labels`."""
    array = np.zeros(num_genres, np.uint8)
    array[list(labels)] = 1
    return array
