"""Rows of a catalogue to movies, with the account of those that are none."""

from data_prep.metadata import clean_row
from data_prep.metadata.clean_row import Dropped
from data_prep.metadata.corrections import Corrections
from data_prep.workspace.movie_file import Movie
from mmgenre.catalogue.columns import POSTER
from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.genre_list import GenreList
from mmgenre.catalogue.rows import Habits, Row


class RowReader:
    """Reads rows, one after the other.

    Args:
      habits: of the catalogue.
      genres: the list of genres.
      require: "overview" and "both" drop rows without an overview, "poster" and "both" rows
        without a poster's path, "any" rows that have neither.
      corrections: of labels; None for none.

    Attributes:
      rows: read so far.
      dropped: rows by the reason why they are no movie.
      quoted: by reason, a cell that shows it.
      notes: counts of things that were mended or left out.
      unlisted: rows by each name of a genre that is on no list.
    """

    def __init__(
        self,
        habits: Habits,
        genres: GenreList,
        require: str,
        corrections: Corrections | None = None,
    ):
        self.rows = 0
        self.dropped: dict[str, int] = {}
        self.quoted: dict[str, str] = {}
        self.notes: dict[str, int] = {}
        self.unlisted: dict[str, int] = {}
        self._habits, self._genres, self._require = habits, genres, require
        self._corrections = corrections

    def movie(self, row: Row) -> Movie | None:
        """Returns the movie of the next row, or None where it is dropped."""
        self.rows += 1
        try:
            return self._movie(row)
        except Dropped as reason:
            self.drop(str(reason), reason.cell)
            return None

    def drop(self, reason: str, cell: str = "") -> None:
        """Counts a dropped row."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        if cell:
            self.quoted.setdefault(reason, cell)

    def dropped_lines(self) -> list[str]:
        """Returns, for each reason, what a reader should know, the most common first."""
        return [
            f"{reason}: {count:,}"
            + (f", such as {self.quoted[reason]!r}" if reason in self.quoted else "")
            for reason, count in sorted(self.dropped.items(), key=lambda item: -item[1])
        ]

    def _movie(self, row: Row) -> Movie:
        if isinstance(row, DamagedRow):
            raise Dropped(row.reason)
        movie = clean_row.movie_from_row(
            row, self.rows, self._habits, self._genres, self.notes, self.unlisted
        )
        if self._corrections is not None:
            movie = self._corrections.apply(movie, self._genres, self.notes)
        require = self._require
        if require in ("overview", "both") and not movie.overview:
            raise Dropped("no overview")
        if POSTER in row and require in ("poster", "both") and not movie.poster_path:
            raise Dropped("no poster: no path in the metadata")
        if POSTER in row and require == "any" and not movie.overview and not movie.poster_path:
            raise Dropped("neither overview nor poster")
        return movie
