"""Cells of genres, however they are written, to names.

[{'id': 16, 'name': 'Animation'}]      Kaggle's Python literals, or the same as JSON
Action, Drama     Action|Drama         a list with commas, pipes, semicolons or slashes
Action-Adventure-Science Fiction       with hyphens, where all parts are names of genres
['Action' 'Drama']                     as NumPy prints an array
{'Action', 'Drama'}                    a set
{"/m/07s9rl0": "Drama"}                ids to names
[28, 12]                               TMDB's numbers
Drama                                  one name
"""

import ast
import functools
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

_MAX_CELL: Final = 100_000
_SHORT: Final = 1_000  # Characters of a cell that is kept with its names.
_MISSING: Final = frozenset(
    ("", "nan", "none", "null", "\\n", "n/a", "na", "[]", "{}", "-", "()", "(no genres listed)")
)
_DELIMITERS: Final = ("|", ";", ",", "/")
_NUMPY: Final = re.compile(r"""\[\s*(?:(?:'[^'\]]*'|"[^"\]]*")\s*)+\]""")
_QUOTED: Final = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_NUMBER: Final = re.compile(r"\d{1,9}")

TMDB_GENRES: Final[dict[int, str]] = {
    28: "Action",
    12: "Adventure",
    16: "Animation",
    35: "Comedy",
    80: "Crime",
    99: "Documentary",
    18: "Drama",
    10751: "Family",
    14: "Fantasy",
    36: "History",
    27: "Horror",
    10402: "Music",
    9648: "Mystery",
    10749: "Romance",
    878: "Science Fiction",
    10770: "TV Movie",
    53: "Thriller",
    10752: "War",
    37: "Western",
    10759: "Action & Adventure",
    10762: "Kids",
    10763: "News",
    10764: "Reality",
    10765: "Sci-Fi & Fantasy",
    10766: "Soap",
    10767: "Talk",
    10768: "War & Politics",
    10769: "Foreign",
}
"""The numbers of The Movie Database (developer.themoviedb.org/reference/genre-movie-list)."""


class UnreadableCell(ValueError):
    """A cell that holds no genres in any form that is known."""


def genre_names(cell: Any, is_genre: Callable[[str], bool] = lambda name: False) -> list[str]:
    """Returns the names in a cell, in its order, trimmed; none where the cell is empty.

    Args:
      cell: a text, or a value of JSON or Parquet.
      is_genre: whether a name is on the list of genres: "Science Fiction - Action" is split at
        hyphens only where all of its parts are.

    Raises:
      UnreadableCell: it looks like a list and cannot be read as one.
    """
    if isinstance(cell, str):
        return _names_of_text(cell.strip(), is_genre)
    return _names_of_value(cell)


def _names_of_text(cell: str, is_genre: Callable[[str], bool]) -> list[str]:
    if cell.casefold() in _MISSING:
        return []
    if cell[0] in "[{(":
        return list(_names_of_short_literal(cell) if len(cell) <= _SHORT else _literal_names(cell))
    if _NUMBER.fullmatch(cell):
        return _names_of_value([int(cell)])
    if is_genre(cell):
        return [cell]
    for delimiter in _DELIMITERS:
        if delimiter in cell:
            parts = [part.strip() for part in cell.split(delimiter)]
            if all(_NUMBER.fullmatch(part) for part in parts):
                return _names_of_value([int(part) for part in parts])
            return [part for part in parts if part]
    if "-" in cell and (parts := _split_at_hyphens(cell, is_genre)):
        return parts
    return [cell]


def _split_at_hyphens(cell: str, is_genre: Callable[[str], bool]) -> list[str]:
    """Splits "Action-Sci-Fi-Drama" into the fewest known names; empty where that cannot be done."""
    pieces = cell.split("-")
    best: list[list[str] | None] = [[]]
    for end in range(1, len(pieces) + 1):
        found = None
        for start in range(max(0, end - 3), end):
            name = "-".join(pieces[start:end]).strip()
            before = best[start]
            if (
                before is not None
                and is_genre(name)
                and (not found or len(before) + 1 < len(found))
            ):
                found = [*before, name]
        best.append(found)
    return best[-1] or []


@functools.lru_cache(maxsize=8_192)
def _names_of_short_literal(cell: str) -> tuple[str, ...]:
    """Parsing takes a quarter of the time of reading a catalogue, which has few different cells."""
    return tuple(_literal_names(cell))


def _literal_names(cell: str) -> list[str]:
    if len(cell) > _MAX_CELL:
        raise UnreadableCell
    if _NUMPY.fullmatch(cell) and "," not in _QUOTED.sub("", cell):
        return [name for pair in _QUOTED.findall(cell) if (name := (pair[0] or pair[1]).strip())]
    for read in (ast.literal_eval, json.loads):  # Literals only: neither runs code.
        try:
            return _names_of_value(read(cell))
        except UnreadableCell:
            raise
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    raise UnreadableCell


def _names_of_value(value: Any) -> list[str]:
    if value is None or value != value:  # A missing number of pandas' is no number.
        return []
    if isinstance(value, str):
        value = [value]
    elif isinstance(value, dict):
        value = [value] if "name" in value else list(value.values())
    elif isinstance(value, int | float):
        value = [value]
    elif isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if not isinstance(value, Iterable):
        raise UnreadableCell
    return [name for entry in value if (name := _name(entry))]


def _name(entry: Any) -> str:
    """Returns the name of an entry of a list; "" where it has none."""
    if isinstance(entry, dict):
        entry = entry.get("name", entry.get("id"))
    if isinstance(entry, bool):
        return ""
    if isinstance(entry, int | float):
        return (
            TMDB_GENRES.get(int(entry), str(entry)) if entry == entry and abs(entry) < 1e9 else ""
        )
    return entry.strip() if isinstance(entry, str) else ""
