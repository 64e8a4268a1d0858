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
_MAX_BYTES: Final = 1 << 20  # Of a file.

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
      own_aliases: by a genre's name, the further names that the list itself gives it.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, int]
    own_aliases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

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
            if not can_be_listed(name):
                raise UserError(
                    f"the list of genres has the name {name[:_MAX_NAME]!r}; a name has 1 to "
                    f"{_MAX_NAME} characters, no '=', and begins with no '#'"
                )
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
        own = {name: tuple(others) for name, others in (aliases or {}).items() if others}
        return cls(names, places, own)

    @property
    def is_default(self) -> bool:
        """Whether it is the specification's."""
        return self.names == schema.GENRES

    def text(self) -> str:
        """The list as a file that `read_genres` reads."""
        lines = [
            f"{name} = {', '.join(self.own_aliases[name])}" if name in self.own_aliases else name
            for name in self.names
        ]
        return "".join(f"{line}\n" for line in lines)

    def place(self, name: str) -> int | None:
        """Returns the place of the genre that a name stands for; None where it is on no list."""
        return self.aliases.get(plain(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and plain(name) in self.aliases


def can_be_listed(name: str) -> bool:
    """Whether a text can be a genre's name in a list, and in a file of one."""
    return (
        0 < len(name) <= _MAX_NAME
        and name == name.strip()
        and name.isprintable()
        and "=" not in name
        and not name.startswith("#")
    )


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
        with epath.Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UserError(f"{path} is no list of genres: it has more than {_MAX_BYTES:,} bytes")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"cannot read the list of genres {path}: {reason}") from error
    aliases: dict[str, list[str]] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, others = line.partition("=")
        name = " ".join(name.split())
        if name in aliases:
            raise UserError(f"{path}: {name!r} is there twice")
        if len(aliases) > MAX_GENRES:
            raise UserError(f"{path} has more than {MAX_GENRES:,} lines; is it a list of genres?")
        aliases[name] = [o.strip() for o in others.split(",") if o.strip()]
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
