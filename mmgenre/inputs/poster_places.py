"""Where a movie's poster is, by its cell in a catalogue: a path, or an address of its own.

The image server of The Movie Database has a poster at `<base>/<width><path>`; a mirror is a folder
of the same layout. Posters may also lie in a folder under their names alone, or be called by the
movie's id.
"""

import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final

from mmgenre.catalogue.cells import MISSING
from mmgenre.catalogue.picture_folder import PICTURES
from mmgenre.inputs import web_addresses

WIDTHS: Final = ("w92", "w154", "w185", "w342", "w500", "w780", "original")
DEFAULT_WIDTH: Final = "w154"
_MAX_PATH: Final = 255
_MAX_ADDRESS: Final = 2_000
_IMAGE_SERVER: Final = re.compile(
    r"https?://(?:image|media)\.(?:tmdb|themoviedb)\.org/t/p/\w+(/[^/?#]+)", re.IGNORECASE
)


class UnsafePoster(ValueError):
    """A cell names a place outside of the folder of posters, or no place at all."""


def reference(cell: str) -> str:
    """Returns where a poster is said to be: "/its/path", an address, or "" where nothing is said.

    Raises:
      UnsafePoster: the path would leave the folder that it is joined to, or the address is none.
    """
    text = cell.strip()
    if text.casefold() in MISSING:
        return ""
    if web_addresses.is_address(text):
        try:
            web_addresses.parse(text)
        except ValueError as error:
            raise UnsafePoster(str(error)) from error
        if len(text) > _MAX_ADDRESS or not text.isprintable() or " " in text:
            raise UnsafePoster
        return text
    path = text.removeprefix("./")
    path = path if path.startswith("/") else f"/{path}"
    if not is_safe_path(path):
        raise UnsafePoster
    return path


def is_safe_path(path: str) -> bool:
    """Whether a poster's path stays below the folder that it is joined to."""
    parts = path.split("/")[1:]
    return (
        len(path) <= _MAX_PATH
        and path.isprintable()
        and not any(character in path for character in '\\:?#%*"<>|')
        and all(part and not part.startswith(".") and not part.endswith(" ") for part in parts)
    )


def server_path(place: str) -> str:
    """Returns the path of a reference at an image server; "" for an address of another server."""
    if not web_addresses.is_address(place):
        return place
    address = _IMAGE_SERVER.match(place)
    return address[1] if address and is_safe_path(address[1]) else ""


def names_in_folder(place: str, ids: Iterable[str]) -> Iterator[str]:
    """Yields the paths, with a slash before them, that a poster may have in a folder.

    A path may also be meant from elsewhere, so that only its last part is a file here; of an
    address it is the last part in any case. Then come files that are called like the movie.

    Args:
      place: what `reference` returned.
      ids: of the movie: its id, and its IMDb id.
    """
    if place:
        if web_addresses.is_address(place):
            path = urllib.parse.unquote(urllib.parse.urlsplit(place).path)
        else:
            path = place
            yield path
        last = path[path.rfind("/") :]
        if last != place and is_safe_path(last):
            yield last
    for id_ in ids:
        if id_ and not id_.startswith(".") and not {"/", "\\", "\0"} & set(id_):
            for end in PICTURES:
                yield f"/{id_}{end}"


def widths_by_preference(width: str) -> tuple[str, ...]:
    """The width asked for, then wider ones, nearest first, then narrower ones, nearest first."""
    place = WIDTHS.index(width)
    return WIDTHS[place:] + WIDTHS[:place][::-1]


def split_base(address: str) -> tuple[str, str]:
    """Returns an image server's address without the width that it may end in, and that width."""
    base, _, last = address.rstrip("/").rpartition("/")
    return (base, last) if last in WIDTHS else (address.rstrip("/"), "")
