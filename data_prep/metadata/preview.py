"""A catalogue as it would be prepared, from its first rows."""

import dataclasses
import itertools
from collections.abc import Mapping

from etils import epath

from data_prep.metadata.choose_genres import choose_genres
from data_prep.metadata.row_reader import RowReader
from data_prep.workspace.movie_file import Movie
from mmgenre.catalogue.columns import OVERVIEW, Columns, find_columns, require_columns
from mmgenre.catalogue.genre_list import GenreList
from mmgenre.catalogue.rows import read_rows
from mmgenre.catalogue.table import open_table
from mmgenre.errors import UserError


@dataclasses.dataclass(frozen=True)
class Preview:
    """What the first rows of a catalogue are.

    Attributes:
      form: how it is written.
      notes: what a reader should know of that, such as its encoding.
      columns: and what they are taken for.
      problem: why it cannot be prepared; "" where it can. Then all that follows is empty.
      genres: the list.
      genre_counts: movies by genre, in the order of the list.
      reader: with the account of rows that are dropped.
      movies: of the rows that are kept.
      is_all: whether these are all rows.
    """

    form: str
    notes: tuple[str, ...]
    columns: Columns
    problem: str
    genres: GenreList
    genre_counts: list[int]
    reader: RowReader
    movies: list[Movie]
    is_all: bool


def preview(
    metadata: epath.PathLike,
    columns: Mapping[str, str],
    genres: epath.PathLike | None,
    min_genre_movies: int,
    require: str | None,
    rows: int,
) -> Preview:
    """Reads the first rows of a catalogue.

    Args:
      metadata: of any form; see `mmgenre.catalogue.table.open_table`.
      columns: the column's name by role, where it is not one of the usual ones.
      genres: see `choose_genres`.
      min_genre_movies: see `choose_genres`.
      require: see `RowReader`; None takes what fits the columns.
      rows: to read at most.

    Raises:
      UserError: it cannot be read, or the columns that are named do not exist.
    """
    name = str(metadata)
    listed = choose_genres(genres, min_genre_movies, metadata, columns)
    with open_table(metadata) as table:
        found = find_columns(table.columns, columns, name)
        problem = ""
        try:
            require_columns(found, name)
        except UserError as error:
            problem = str(error)
        habits, stream = read_rows(table, found)
        reader = RowReader(habits, listed, require or usual_requirement(found))
        movies: list[Movie] = []
        if not problem:
            for row in itertools.islice(stream, rows):
                movie = reader.movie(row)
                if movie is not None:
                    movies.append(movie)
        is_all = next(stream, None) is None
        counts = [0] * len(listed.names)
        for movie in movies:
            for label in movie.labels:
                counts[label] += 1
        return Preview(
            table.form, table.notes, found, problem, listed, counts, reader, movies, is_all
        )


def usual_requirement(columns: Columns) -> str:
    """Returns what a movie must have where the user says nothing: an overview, if there are any."""
    return "overview" if OVERVIEW in columns.of_role else "poster"
