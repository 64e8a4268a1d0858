"""The list of genres: their names in order, and the other names that stand for them."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final, Self

from etils import epath

from mmgenre import schema
from mmgenre.errors import UserError

MIN_GENRES: Final = 2
MAX_GENRES: Final = 1_000
_MAX_NAME: Final = 100

USUAL_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "Science Fiction": ("Sci-Fi", "SciFi", "Science-Fiction", "Sci Fi", "SF"),
    "Music": ("Musical", "Musicals", "Music & Musical"),
    "Documentary": ("Documentaries", "Doc"),
    "Comedy": ("Comedies",),
    "Drama": ("Dramas",),
    "Romance": ("Romantic", "Romances"),
    "Thriller": ("Thrillers", "Suspense"),
    "Animation": ("Animated", "Anime", "Cartoon"),
    "Family": ("Children", "Children's", "Kids"),
    "History": ("Historical", "Historic"),
    "Horror": ("Horrors",),
    "Biography": ("Biographical", "Biopic"),
    "Western": ("Westerns",),
    "Sport": ("Sports",),
    "Short": ("Shorts", "Short Film"),
    "Film-Noir": ("Film Noir", "Noir"),
}
"""What genres are called elsewhere; an alias that is itself on the list stands for itself."""


@dataclasses.dataclass(frozen=True)
class GenreList:
    """The genres that a data set has.

    Attributes:
      names: in the order of the labels.
      aliases: the place of a genre by each name that stands for it, in lower case.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, int]

    @classmethod
    def of(cls, names: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None) -> Self:
        """Returns the list of `names`, with the usual aliases and further ones by name.

        Raises:
          UserError: too few or too many names, one twice, or an alias that stands for two.
        """
        names = tuple(names)
        if not MIN_GENRES <= len(names) <= MAX_GENRES:
            raise UserError(
                f"the list of genres has {len(names)} names; it must have {MIN_GENRES} to "
                f"{MAX_GENRES:,}"
            )
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
                raise UserError(f"the list of genres has the name {name[:_MAX_NAME]!r}")
            if places.setdefault(plain(name), place) != place:
                raise UserError(f"the list of genres has {name!r} twice")
        for name, others in (aliases or {}).items():
            for other in others:
                if places.setdefault(plain(other), names.index(name)) != names.index(name):
                    raise UserError(f"in the list of genres {other!r} stands for two genres")
        for name, others in USUAL_ALIASES.items():
            if plain(name) in places:
                for other in others:
                    places.setdefault(plain(other), places[plain(name)])
        return cls(names, places)

    def place(self, name: str) -> int | None:
        """Returns the place of the genre that a name stands for; None where it is on no list."""
        return self.aliases.get(plain(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and plain(name) in self.aliases


def plain(name: str) -> str:
    """Returns a name without case and repeated blanks."""
    return " ".join(name.split()).casefold()


def default_genres() -> GenreList:
    """Returns the specification's 18 genres, with the usual aliases."""
    return GenreList.of(schema.GENRES)


def read_genres(path: epath.PathLike) -> GenreList:
    """Reads a list of genres: a name a line, with aliases behind an equals sign.

        Science Fiction = Sci-Fi, Science-Fiction, SF

    Blank lines and lines that begin with # are skipped.

    Raises:
      UserError: the file cannot be read, or the list is no such list.
    """
    try:
        text = epath.Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"cannot read the list of genres {path}: {reason}") from error
    aliases: dict[str, list[str]] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, others = line.partition("=")
        if name.strip() in aliases:
            raise UserError(f"{path}: {name.strip()!r} is there twice")
        aliases[name.strip()] = [o.strip() for o in others.split(",") if o.strip()]
    try:
        return GenreList.of(aliases, aliases)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def common_genres(counts: Mapping[str, int], least: int) -> GenreList:
    """Returns the list of all names that at least so many movies have, in alphabetical order.

    Names that the usual aliases join are one, under the name that more movies have.
    """
    joined: dict[str, dict[str, int]] = {}
    stands_for = {plain(o): plain(n) for n, others in USUAL_ALIASES.items() for o in others}
    known = {plain(name) for name in counts}
    for name, count in counts.items():
        key = plain(name)
        if stands_for.get(key) in known:
            key = stands_for[key]
        joined.setdefault(key, {})[name] = count
    names = [
        max(spellings, key=lambda name: (spellings[name], name))
        for spellings in joined.values()
        if sum(spellings.values()) >= least
    ]
    return GenreList.of(sorted(names))
