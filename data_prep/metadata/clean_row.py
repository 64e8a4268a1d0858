"""One row of the metadata to one movie, or to the reason why it is none."""

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from data_prep.workspace.movie_file import Movie
from mmgenre import schema
from mmgenre.inputs import overview_text

COLUMNS: Final = ("id", "imdb_id", "genres", "title", "overview", "poster_path")
"""The columns that must be there."""

OTHER_COLUMNS: Final = ("adult", "original_title")
"""Columns that are used where they are there."""

DROPPED_GENRES: Final = ("TV Movie", "Foreign")
"""Genres of the metadata that are not among the 18."""

MAX_TITLE: Final = 1_000
_MAX_GENRES_CELL: Final = 100_000


class Dropped(Exception):
    """The row is no movie; the message is the reason, one of a few."""


_NUMBER: Final = re.compile(r"(\d{1,18})(\.0+)?")
_IMDB_ID: Final = re.compile(r"tt\d+")
_GENRE_INDEX: Final = {name.casefold(): index for name, index in schema.GENRE_INDEX.items()}
_DROPPED_GENRES: Final = frozenset(name.casefold() for name in DROPPED_GENRES)


def movie_from_row(row: Mapping[str, str], notes: dict[str, int]) -> Movie:
    """Reads one row.

    Args:
      row: cells by column; all of `COLUMNS`.
      notes: counts of things that were mended or left out, added to.

    Raises:
      Dropped: the row is no movie, or has no genre among the 18.
    """
    match = _NUMBER.fullmatch(row["id"].strip())
    if not match:
        raise Dropped("shifted columns: the id is not a number")
    if row.get("adult", "").strip().casefold() not in ("", "true", "false", "0", "1", "nan"):
        raise Dropped("shifted columns: 'adult' is neither True nor False")
    labels = parse_genres(row["genres"], notes)
    overview = clean_overview(row["overview"], notes)
    title = overview_text.mend(row["title"]) or overview_text.mend(row.get("original_title", ""))
    imdb_id = row["imdb_id"].strip()
    return Movie(
        id=int(match[1]),
        imdb_id=imdb_id if _IMDB_ID.fullmatch(imdb_id) else "",
        title=title[:MAX_TITLE],
        overview=overview,
        labels=labels,
        poster_path=clean_poster_path(row["poster_path"], notes),
    )


def parse_genres(cell: str, notes: dict[str, int]) -> tuple[int, ...]:
    """Reads a cell such as "[{'id': 16, 'name': 'Animation'}]" to indices of `schema.GENRES`.

    Raises:
      Dropped: the cell cannot be read, or names none of the 18 genres.
    """
    names = _genre_names(cell.strip())
    labels = set()
    unknown = 0
    for name in names:
        name = " ".join(name.split()).casefold()
        if name in _GENRE_INDEX:
            labels.add(_GENRE_INDEX[name])
        elif name not in _DROPPED_GENRES:
            unknown += 1
    if labels:
        if unknown:
            _note(notes, "unknown genres left out, others kept")
        return tuple(sorted(labels))
    if not names:
        raise Dropped("no genre")
    if unknown:
        raise Dropped("unknown genres only (production companies, say)")
    raise Dropped("no genre but " + " or ".join(DROPPED_GENRES))


def _genre_names(cell: str) -> list[str]:
    if not cell or cell.casefold() in ("nan", "none", "null"):
        return []
    value: Any = None
    if len(cell) <= _MAX_GENRES_CELL and cell[0] in "[{":
        try:
            value = ast.literal_eval(cell)  # Literals only: it runs no code.
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            try:
                value = json.loads(cell)
            except (ValueError, RecursionError):
                value = None
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list | tuple):
        raise Dropped("the genres are not a list")
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in value]
    return [name for name in names if isinstance(name, str) and name.strip()]


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
    """Returns the path with its slash, "" where there is none or it would leave the folder."""
    path = cell.strip()
    if not path or path.casefold() in ("nan", "none", "null"):
        return ""
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
