"""One row of a catalogue to one movie, or to the reason why it is none."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from data_prep.workspace.movie_file import Movie
from mmgenre import schema
from mmgenre.catalogue.cells import MISSING, text_of
from mmgenre.catalogue.columns import (
    GENRES,
    ID,
    IMDB_ID,
    ORIGINAL_TITLE,
    OVERVIEW,
    POSTER,
    SPLIT,
    TITLE,
)
from mmgenre.catalogue.genre_cells import UnreadableCell, genre_names
from mmgenre.catalogue.genre_list import GenreList
from mmgenre.catalogue.rows import NUMBER, Habits
from mmgenre.inputs import mojibake, overview_text, poster_places

DROPPED_GENRES: Final = ("TV Movie", "Foreign")
"""Genres of The Movie Database that are not among the 18."""

MAX_TITLE: Final = 1_000
MAX_ID: Final = 200
_QUOTED: Final = 80  # Characters of a cell that is quoted.
_MOST_UNLISTED: Final = 10_000  # Different names that are counted.

SPLIT_NAMES: Final[dict[str, str]] = {
    **dict.fromkeys(("train", "training", "tr"), schema.TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), schema.VALIDATION),
    **dict.fromkeys(("test", "testing", "te", "eval", "evaluation"), schema.TEST),
}
"""What catalogues that bring a split call its parts."""


class Dropped(Exception):
    """The row is no movie; the message is the reason, one of a few.

    Attributes:
      cell: what in the row shows it; "" where nothing need be quoted.
    """

    def __init__(self, reason: str, cell: str = ""):
        super().__init__(reason)
        self.cell = cell[:_QUOTED]


_IMDB_ID: Final = re.compile(r"tt\d+")
_DROPPED_GENRES: Final = frozenset(name.casefold() for name in DROPPED_GENRES)


def movie_from_row(
    row: Mapping[str, Any],
    number: int,
    habits: Habits,
    genres: GenreList,
    notes: dict[str, int],
    unlisted: dict[str, int],
) -> Movie:
    """Reads one row.

    Args:
      row: cells by role; see `mmgenre.catalogue.columns`.
      number: of the row, from 1 on: the id of a movie of a catalogue without ids.
      habits: of the catalogue.
      genres: the list of genres.
      notes: counts of things that were mended or left out, added to.
      unlisted: rows by each name of a genre that is on no list, added to.

    Raises:
      Dropped: the row is no movie, or has no genre on the list.
    """
    id_ = _id(row, number, habits)
    labels = parse_genres(row.get(GENRES), genres, notes, unlisted)
    imdb_id = text_of(row.get(IMDB_ID)).strip()
    title, original = (overview_text.mend(text_of(row.get(r))) for r in (TITLE, ORIGINAL_TITLE))
    return Movie(
        id=id_,
        imdb_id=imdb_id if _IMDB_ID.fullmatch(imdb_id) else "",
        title=(title or original)[:MAX_TITLE],
        overview=clean_overview(text_of(row.get(OVERVIEW)), notes),
        labels=labels,
        poster_path=clean_poster_path(text_of(row.get(POSTER)), notes),
        split=_split(row[SPLIT]) if SPLIT in row else "",
    )


def _id(row: Mapping[str, Any], number: int, habits: Habits) -> int | str:
    if ID not in row:
        return number
    cell = overview_text.mend(text_of(row[ID]))
    if habits.ids_are_numbers and (match := NUMBER.fullmatch(cell)) and cell[0] != "-":
        return int(match[1])
    # 0085334 is no number: a poster may be called so.
    if cell.casefold() in MISSING:
        raise Dropped("no id")
    return cell[:MAX_ID]


def _split(cell: Any) -> str:
    name = text_of(cell).strip().casefold()
    if name not in SPLIT_NAMES:
        raise Dropped("in no split of the catalogue", name)
    return SPLIT_NAMES[name]


def parse_genres(
    cell: Any, genres: GenreList, notes: dict[str, int], unlisted: dict[str, int]
) -> tuple[int, ...]:
    """Reads a cell of genres to places on the list, ascending.

    Raises:
      Dropped: the cell cannot be read, or names no genre on the list.
    """
    try:
        names = genre_names(cell, genres.__contains__)
    except UnreadableCell as error:
        raise Dropped("the genres are not a list", text_of(cell)) from error
    labels = set()
    unknown = ""
    for name in dict.fromkeys(names):
        place = genres.place(name)
        if place is not None:
            labels.add(place)
            continue
        name = overview_text.mend(name)[:_QUOTED]
        if name in unlisted or len(unlisted) < _MOST_UNLISTED:
            unlisted[name] = unlisted.get(name, 0) + 1
        if not (genres.is_default and name.casefold() in _DROPPED_GENRES):
            unknown = unknown or name
    if labels:
        if unknown:
            _note(notes, "unknown genres left out, others kept")
        return tuple(sorted(labels))
    if not names:
        raise Dropped("no genre")
    if not genres.is_default:
        raise Dropped("no genre of the list", unknown)
    if unknown:
        raise Dropped("unknown genres only (production companies, say)", unknown)
    raise Dropped("no genre but " + " or ".join(DROPPED_GENRES))


def clean_overview(cell: str, notes: dict[str, int]) -> str:
    """Returns the overview, or "" where the cell holds none: empty, a number, "No overview."."""
    if overview_text.needs_mending(cell):
        _note(notes, "overviews with NULs or lone surrogates, mended")
    text = overview_text.mend(cell)
    mended = mojibake.mended(text)
    if mended != text:
        _note(notes, "overviews with UTF-8 read as Windows-1252, mended")
        text = mended
    if len(text) > overview_text.MAX_CHARACTERS:
        _note(notes, f"overviews cut to {overview_text.MAX_CHARACTERS:,} characters")
        text = text[: overview_text.MAX_CHARACTERS].rstrip()
    if text and overview_text.says_there_is_none(text):
        _note(notes, "overviews that say that there is none")
    elif text and overview_text.is_no_text(text):
        _note(notes, "overviews that are no text")
    return overview_text.known(text)


def clean_poster_path(cell: str, notes: dict[str, int]) -> str:
    """Returns a poster's path with its slash, or its address; "" where the cell has no such.

    See `mmgenre.inputs.poster_places.reference`.
    """
    try:
        return poster_places.reference(cell)
    except poster_places.UnsafePoster:
        _note(notes, "poster paths refused")
        return ""


def text_digest(text: str) -> int:
    """64 bits that identify a text; 0 for the empty one."""
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _note(notes: dict[str, int], text: str) -> None:
    notes[text] = notes.get(text, 0) + 1
