"""Columns of a catalogue by what they hold: found by usual names, or named by the user."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Final

from mmgenre.errors import UserError

ID: Final = "id"
IMDB_ID: Final = "imdb_id"
TITLE: Final = "title"
ORIGINAL_TITLE: Final = "original_title"
OVERVIEW: Final = "overview"
GENRES: Final = "genres"
POSTER: Final = "poster"
SPLIT: Final = "split"
ADULT: Final = "adult"

USUAL_NAMES: Final[dict[str, tuple[str, ...]]] = {
    ID: ("id", "movie id", "tmdb id", "film id", "item id", "asin", "imdb id", "tconst", "imdb"),
    IMDB_ID: ("imdb id", "tconst", "imdb", "imdb title id"),
    TITLE: (
        "title",
        "original title",
        "movie name",
        "movie title",
        "primary title",
        "film title",
        "film name",
        "series title",
        "name",
        "names",
    ),
    ORIGINAL_TITLE: ("original title", "primary title"),
    OVERVIEW: (
        "overview",
        "plot",
        "synopsis",
        "description",
        "summary",
        "plot summary",
        "plot synopsis",
        "storyline",
        "movie description",
        "movie overview",
        "overviews",
        "plots",
    ),
    GENRES: (
        "genres",
        "genre",
        "genre names",
        "movie genre",
        "movie genres",
        "genre ids",
        "listed in",
    ),
    POSTER: (
        "poster path",
        "poster",
        "poster url",
        "poster link",
        "image",
        "image url",
        "img url",
        "img",
        "cover",
        "cover url",
        "poster file",
        "image path",
        "poster src",
    ),
    SPLIT: ("split", "set", "partition", "fold"),
    ADULT: ("adult",),
}
"""What each role is usually called: words in lower case, the best name first."""

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_KNOWN: Final = frozenset(name for names in USUAL_NAMES.values() for name in names)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns that are used.

    Attributes:
      of_role: the column's name by role (`ID`, `TITLE` and so on).
      unused: the other columns.
    """

    of_role: dict[str, str]
    unused: tuple[str, ...]

    def describe(self) -> str:
        """Returns, in one line, which column was taken for what."""
        return ", ".join(f"{role} from {name!r}" for role, name in self.of_role.items())


def plain(name: str) -> str:
    """Returns a column's name as lower-case words: "movieId", "Movie_ID" and "movie id" are one."""
    words = _WORD.findall(name.replace("ID", "Id").replace("URL", "Url").replace("IMDB", "Imdb"))
    return (
        " ".join(word.lower() for word in words).replace("im db", "imdb").replace("tm db", "tmdb")
    )


def is_known(name: str) -> bool:
    """Whether a column's name is a usual one."""
    return plain(name) in _KNOWN


def find_columns(names: Iterable[str], given: Mapping[str, str], source: str) -> Columns:
    """Finds the columns of a catalogue.

    Args:
      names: of its columns.
      given: the column's name by role, where the user says it; case does not matter.
      source: what to call the catalogue in errors.

    Raises:
      UserError: a role or a column in `given` does not exist.
    """
    names = [name for name in names if name.strip()]
    for role, column in given.items():
        if role not in USUAL_NAMES:
            raise UserError(f"--columns names {role!r}; choose from {', '.join(USUAL_NAMES)}")
        if column.casefold() not in map(str.casefold, names):
            raise UserError(f"{source} has no column {column!r}; it has {_shown(names)}")
    by_name = {name.casefold(): name for name in reversed(names)}
    by_words = {plain(name): name for name in reversed(names)}
    of_role: dict[str, str] = {}
    for role, usual in USUAL_NAMES.items():
        if role in given:
            of_role[role] = by_name[given[role].casefold()]
        elif found := next((by_words[name] for name in usual if name in by_words), None):
            of_role[role] = found
    if of_role.get(ORIGINAL_TITLE) == of_role.get(TITLE):
        of_role.pop(ORIGINAL_TITLE, None)
    taken = set(of_role.values())
    return Columns(of_role, tuple(name for name in names if name not in taken))


def require_columns(columns: Columns, source: str, *, needs_genres: bool = True) -> None:
    """Raises UserError where a catalogue lacks genres, or both an overview and a poster."""
    if not columns.of_role:
        raise UserError(
            f"{source} is not a table of movies: none of its columns has a usual name "
            f"({_shown(columns.unused) or 'it has none'}); say which is which with --columns "
            "overview=NAME,genres=NAME"
        )
    advice = f"its other columns are {_shown(columns.unused)}; say which with --columns"
    if needs_genres and GENRES not in columns.of_role:
        raise UserError(f"{source} has no column of genres; {advice} genres=NAME")
    if OVERVIEW not in columns.of_role and POSTER not in columns.of_role:
        raise UserError(
            f"{source} has neither a column of overviews nor of posters; {advice} overview=NAME"
        )


def parse_columns(text: str | None) -> dict[str, str]:
    """Reads what `--columns overview=plot,genres=Genre` says; raises UserError where it cannot."""
    given = {}
    for part in (text or "").split(","):
        role, equals, name = part.partition("=")
        if part.strip() and not (equals and role.strip() and name.strip()):
            raise UserError(
                f"--columns has {part.strip()!r}; write it as overview=plot,genres=Genre"
            )
        if part.strip():
            given[role.strip().casefold()] = name.strip()
    return given


def _shown(names: Iterable[str]) -> str:
    shown = [repr(name[:40]) for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")
