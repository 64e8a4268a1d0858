"""One row of a catalogue to one movie, or to the reason why it is none."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from data_prep.workspace.movie_file import Movie
from mmgenre import schema
from mmgenre.catalogue.columns import (
    ADULT,
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
from mmgenre.inputs import overview_text

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


_NUMBER: Final = re.compile(r"(\d{1,18})(\.0+)?")
_IMDB_ID: Final = re.compile(r"tt\d+")
_ADULT: Final = frozenset(
    ("true", "false", "t", "f", "0", "1", "0.0", "1.0", "yes", "no", "y", "n")
)
_MISSING: Final = frozenset(("", "nan", "none", "null", "\\n"))
_IMAGE_SERVER: Final = re.compile(r"https?://image\.tmdb\.org/t/p/\w+(/[^/?#]+)", re.IGNORECASE)
_DROPPED_GENRES: Final = frozenset(name.casefold() for name in DROPPED_GENRES)


@dataclasses.dataclass(frozen=True)
class Habits:
    """How a catalogue writes what tells a row whose cells are shifted from a good one.

    Attributes:
      ids_are_numbers: whether an id that is none shows a shifted row.
      adult_is_yes_or_no: whether another value of "adult" shows one.
    """

    ids_are_numbers: bool
    adult_is_yes_or_no: bool

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "Habits":
        """Learns them from the first rows of a catalogue, by role."""
        ids, adult, padded = [], [], False
        for row in rows:
            id_ = text_of(row.get(ID)).strip()
            ids.append(_NUMBER.fullmatch(id_) is not None)
            padded = padded or (ids[-1] and len(id_) > 1 and id_.startswith("0"))
            adult.append(text_of(row.get(ADULT)).strip().casefold() in _ADULT | _MISSING)
        return cls(_are_most(ids) and not padded, _are_most(adult))


def _are_most(found: list[bool]) -> bool:
    return sum(found) > len(found) / 2


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
    adult = text_of(row.get(ADULT)).strip().casefold()
    if habits.adult_is_yes_or_no and adult not in _ADULT | _MISSING:
        raise Dropped("shifted columns: 'adult' is neither True nor False")
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
    if match := _NUMBER.fullmatch(cell):
        # 0085334 is no number: a poster may be called so.
        return int(match[1]) if habits.ids_are_numbers else cell
    if habits.ids_are_numbers:
        raise Dropped("shifted columns: the id is not a number")
    if cell.casefold() in _MISSING:
        raise Dropped("no id")
    return cell[:MAX_ID]


def _split(cell: Any) -> str:
    name = text_of(cell).strip().casefold()
    if name not in SPLIT_NAMES:
        raise Dropped("in no split of the catalogue", name)
    return SPLIT_NAMES[name]


def text_of(cell: Any) -> str:
    """Returns the text of a cell: a text, a number, the longest of a list, or nothing."""
    if isinstance(cell, str):
        return cell
    if cell is None or cell != cell:  # A missing number of pandas' is no number.
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, list | tuple):
        return max((text for text in cell if isinstance(text, str)), key=len, default="")
    return str(cell)


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
    if len(text) > overview_text.MAX_CHARACTERS:
        _note(notes, f"overviews cut to {overview_text.MAX_CHARACTERS:,} characters")
        text = text[: overview_text.MAX_CHARACTERS].rstrip()
    if text and overview_text.says_there_is_none(text):
        _note(notes, "overviews that say that there is none")
    elif text and overview_text.is_no_text(text):
        _note(notes, "overviews that are no text")
    return overview_text.known(text)


def clean_poster_path(cell: str, notes: dict[str, int]) -> str:
    """Returns a poster's path with its slash; "" where there is none or it would leave the folder.

    Of an address at The Movie Database's image server it is the last part.
    """
    path = cell.strip()
    if path.casefold() in _MISSING:
        return ""
    if address := _IMAGE_SERVER.match(path):
        path = address[1]
    if not path.startswith("/"):
        path = f"/{path}"
    if not is_safe_path(path):
        _note(notes, "poster paths refused")
        return ""
    return path


def is_safe_path(path: str) -> bool:
    """Whether a poster's path stays below the folder that it is joined to."""
    parts = path.split("/")[1:]
    return (
        len(path) <= 255
        and path.isprintable()
        and not any(character in path for character in '\\:?#%*"<>|')
        and all(part and not part.startswith(".") and not part.endswith(" ") for part in parts)
    )


def text_digest(text: str) -> int:
    """64 bits that identify a text; 0 for the empty one."""
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _note(notes: dict[str, int], text: str) -> None:
    notes[text] = notes.get(text, 0) + 1
