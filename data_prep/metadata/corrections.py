"""Corrections of labels: the accepted rows of a table that `mmgenre review` writes.

    id,genre,kind,accept
    862,Drama,missing,yes        the movie gets the genre
    8844,Horror,given,yes        the movie loses it
    8844,Family,missing,         not accepted: nothing happens

Other columns are for readers. Where two rows speak of one label, the last one counts.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping
from typing import Final, Self

from etils import epath

from data_prep.metadata.clean_row import Dropped
from data_prep.workspace.movie_file import Movie
from mmgenre.catalogue.genre_list import GenreList
from mmgenre.dataset.label_table import ACCEPT, GENRE, GIVEN, ID, KIND, MISSING, original
from mmgenre.errors import UserError

_YES: Final = ("yes", "y", "true", "1", "x")
_NO: Final = ("", "no", "n", "false", "0")
CORRECTED: Final = "labels corrected"


@dataclasses.dataclass(frozen=True)
class Corrections:
    """What is to be changed.

    Attributes:
      of_movie: by the movie's id: by the genre's name, whether the movie has it.
      path: of the table.
    """

    of_movie: Mapping[str, Mapping[str, bool]]
    path: str

    @classmethod
    def read(cls, path: epath.PathLike) -> Self:
        """Reads a table; raises UserError where it is none, or a row cannot be understood."""
        of_movie: dict[str, dict[str, bool]] = {}
        try:
            text = epath.Path(path).read_bytes().decode("utf-8-sig")
            for id_, genre, has_it in _accepted(text, path):
                of_movie.setdefault(id_, {})[genre] = has_it
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"cannot read the label corrections {path}: {error}") from error
        return cls(of_movie, str(path))

    def check(self, genres: GenreList) -> None:
        """Raises UserError where a genre is on no list."""
        for labels in self.of_movie.values():
            for name in labels:
                if name not in genres:
                    raise UserError(f"{self.path} names the genre {name!r}, which is on no list")

    def apply(self, movie: Movie, genres: GenreList, notes: dict[str, int]) -> Movie:
        """Returns a movie with its labels corrected.

        Args:
          movie: as the catalogue has it.
          genres: the list of genres.
          notes: counts of things that were mended, added to.

        Raises:
          Dropped: no genre is left.
        """
        labels = set(movie.labels)
        for name, has_it in self.of_movie.get(str(movie.id), {}).items():
            place = genres.place(name)
            assert place is not None, "checked before"
            if (place in labels) != has_it:
                notes[CORRECTED] = notes.get(CORRECTED, 0) + 1
                labels ^= {place}
        if not labels:
            raise Dropped("no genre is left by the label corrections")
        return dataclasses.replace(movie, labels=tuple(sorted(labels)))


def _accepted(text: str, path: epath.PathLike) -> Iterator[tuple[str, str, bool]]:
    """Yields id, genre and whether the movie has it, of each accepted row."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    for name in (ID, GENRE, KIND, ACCEPT):
        if name not in (reader.fieldnames or ()):
            raise UserError(
                f"{path} has no column {name!r}; give the table that mmgenre review writes"
            )
    for row in reader:
        place = f"{path}, line {reader.line_num}"
        if any(row[name] is None for name in (ID, GENRE, KIND, ACCEPT)):
            raise UserError(f"{place}: the row is too short")
        answer, kind = row[ACCEPT].strip().casefold(), row[KIND]
        if answer not in (*_YES, *_NO):
            raise UserError(f"{place}: accept is {answer!r}, not yes or no")
        if kind not in (GIVEN, MISSING):
            raise UserError(f"{place}: kind is {kind!r}, not {GIVEN} or {MISSING}")
        if answer in _YES:
            yield original(row[ID]), original(row[GENRE]), kind == MISSING
