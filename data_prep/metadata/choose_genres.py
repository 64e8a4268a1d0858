"""The list of genres of a data set: the specification's, a file's, or what the catalogue has."""

from collections.abc import Mapping
from typing import Final

from etils import epath

from mmgenre import schema
from mmgenre.catalogue.columns import GENRES, find_columns
from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.genre_cells import TMDB_GENRES, UnreadableCell, genre_names
from mmgenre.catalogue.genre_list import (
    USUAL_ALIASES,
    GenreList,
    can_be_listed,
    common_genres,
    default_genres,
    plain,
    read_genres,
)
from mmgenre.catalogue.table import open_table
from mmgenre.errors import UserError

AUTO: Final = "auto"

_MOST_NAMES: Final = 200_000  # Different ones that are counted, so that memory stays bounded.
_IMDB_GENRES: Final = (
    "Adult", "Biography", "Film-Noir", "Game-Show", "Musical", "News", "Reality-TV", "Short",
    "Sport", "Talk-Show",
)  # fmt: skip
_WELL_KNOWN: Final = frozenset(
    plain(name)
    for name in (
        *schema.GENRES,
        *TMDB_GENRES.values(),
        *_IMDB_GENRES,
        *USUAL_ALIASES,
        *(other for others in USUAL_ALIASES.values() for other in others),
    )
)
"""What tells that "Action-Sci-Fi" is two genres, while there is no list yet."""


def choose_genres(
    genres: epath.PathLike | None,
    min_movies: int,
    metadata: epath.PathLike,
    columns: Mapping[str, str],
) -> GenreList:
    """Returns the list of genres that `--genres` asks for.

    Args:
      genres: None for the specification's 18, "auto" for every name that at least `min_movies` rows
        of the catalogue have, or a file; see `genre_list.read_genres`.
      min_movies: see `genres`.
      metadata: the catalogue.
      columns: the column's name by role, where it is not one of the usual ones.

    Raises:
      UserError: the file or the catalogue cannot be read, or there are too few or too many genres.
    """
    if genres is None:
        return default_genres()
    if str(genres) != AUTO:
        return read_genres(genres)
    counts = _count_names(metadata, columns)
    try:
        return common_genres(counts, min_movies)
    except UserError as error:
        raise UserError(
            f"--genres auto: {error}; names that at least {min_movies:,} movies of {metadata} have "
            "are genres: choose another number with --min-genre-movies"
        ) from error


def _count_names(metadata: epath.PathLike, columns: Mapping[str, str]) -> dict[str, int]:
    """Returns how many rows of a catalogue have each name of a genre."""
    counts: dict[str, int] = {}
    with open_table(metadata) as table:
        found = find_columns(table.columns, columns, str(metadata))
        if GENRES not in found.of_role:
            return {}
        for cells in table.rows([found.of_role[GENRES]]):
            if isinstance(cells, DamagedRow):
                continue
            try:
                names = genre_names(cells[0], lambda name: plain(name) in _WELL_KNOWN)
            except UnreadableCell:
                continue
            for name in dict.fromkeys(filter(can_be_listed, names)):
                if name in counts or len(counts) < _MOST_NAMES:
                    counts[name] = counts.get(name, 0) + 1
    return counts
