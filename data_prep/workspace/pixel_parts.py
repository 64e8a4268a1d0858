"""The decoded posters of a workspace, in parts of a fixed number of movies.

A part is two files: `<part>.pixels`, the pixels of the movies that have a poster, one after the
other, and then the slot of each movie as int32 (so that one movie can be read without the rest);
and `<part>.npz`, what is known of each movie. The second is written last.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from typing import IO, Final, Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.machine.json_files import read_json

FOLDER: Final = "posters"
PART: Final = 512
"""Movies in a part: 6 MiB of pixels when all have a poster."""

_BYTES: Final = int(np.prod(schema.POSTER_SHAPE))
FOUND: Final = ""
"""The status of a movie whose poster was decoded; any other is why it has none."""

PLACEHOLDER: Final = "missing: a placeholder, which very many movies share"
_PLACEHOLDERS: Final = "placeholders.json"


@dataclasses.dataclass(frozen=True)
class Part:
    """What is known of the posters of up to `PART` movies.

    Attributes:
      key: digest of what the part was made from.
      num_posters: movies with a poster.
      digest: <uint64>[num_movies], of the pixels; 0 without a poster.
      status: of each movie: `FOUND`, or why there is no poster.
    """

    key: str
    num_posters: int
    digest: np.ndarray
    status: tuple[str, ...]


def num_parts(num_movies: int) -> int:
    """Parts that `num_movies` movies make."""
    return -(-num_movies // PART)


def part_range(part: int, num_movies: int) -> range:
    """Numbers of the movies in a part."""
    return range(part * PART, min((part + 1) * PART, num_movies))


def pixels_path(workspace: epath.PathLike, part: int) -> epath.Path:
    """The file of a part's pixels."""
    return epath.Path(workspace) / FOLDER / f"{part:05d}.pixels"


def facts_path(workspace: epath.PathLike, part: int) -> epath.Path:
    """The file of the rest of a part, written last."""
    return epath.Path(workspace) / FOLDER / f"{part:05d}.npz"


def part_of(file_name: str) -> int | None:
    """The number of the part that a file of this name belongs to; None for other files."""
    match = re.fullmatch(r"(\d{5,})\.(pixels|npz)", file_name, re.ASCII)
    return int(match[1]) if match else None


def write_part(
    workspace: epath.PathLike, number: int, key: str, results: Iterable[bytes | str]
) -> Part:
    """Stores a part.

    Args:
      workspace: its folder.
      number: of the part.
      key: digest of what the part is made from.
      results: for each movie its pixels, or why there are none.
    """
    slots = np.full(PART, -1, "<i4")
    digests: list[int] = []
    status: list[str] = []
    pixels = bytearray()  # Written at once: a system call a poster took longer than its digest.
    for place, result in enumerate(results):
        if isinstance(result, bytes):
            slots[place] = len(pixels) // _BYTES
            pixels += result
        digests.append(pixels_digest(result) if isinstance(result, bytes) else 0)
        status.append(FOUND if isinstance(result, bytes) else result)
    num_posters = len(pixels) // _BYTES
    with files.atomic_write(pixels_path(workspace, number)) as file:
        file.write(pixels)
        file.write(slots.tobytes())
    part = Part(key, num_posters, np.array(digests, np.uint64), tuple(status))
    with files.atomic_write(facts_path(workspace, number)) as file:
        np.savez(
            file,
            key=np.array(key),
            num_posters=np.array(num_posters),
            digest=part.digest,
            status=np.array(status, dtype=np.str_),
        )
    return part


def pixels_digest(pixels: bytes) -> int:
    """64 bits that identify a picture; never 0."""
    value = int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")
    return value or 1


def read_part(workspace: epath.PathLike, number: int) -> Part | None:
    """Reads a part; None where it is not there or not whole."""
    try:
        with (
            facts_path(workspace, number).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            part = Part(
                key=str(arrays["key"]),
                num_posters=int(arrays["num_posters"]),
                digest=arrays["digest"],
                status=tuple(map(str, arrays["status"])),
            )
        length = files.size(pixels_path(workspace, number))
        return part if length == part.num_posters * _BYTES + 4 * PART else None
    except (OSError, ValueError, KeyError):
        return None


def write_placeholders(workspace: epath.PathLike, digests: Iterable[int]) -> None:
    """Says which pictures stand for a missing poster, by their digests."""
    files.write_json(epath.Path(workspace) / FOLDER / _PLACEHOLDERS, sorted(digests))


def read_placeholders(workspace: epath.PathLike) -> frozenset[int]:
    """Returns the digests of the pictures that stand for a missing poster."""
    try:
        return frozenset(read_json(epath.Path(workspace) / FOLDER / _PLACEHOLDERS))
    except (OSError, ValueError, TypeError):
        return frozenset()


def require_part(workspace: epath.PathLike, number: int) -> Part:
    """As `require_raw_part`, with placeholders as missing posters."""
    part = require_raw_part(workspace, number)
    marked = read_placeholders(workspace)
    if not marked:
        return part
    is_marked = np.isin(part.digest, np.array(sorted(marked), np.uint64))
    return dataclasses.replace(
        part,
        num_posters=part.num_posters - int(is_marked.sum()),
        digest=np.where(is_marked, np.uint64(0), part.digest),
        status=tuple(
            PLACEHOLDER if marked else status
            for status, marked in zip(part.status, is_marked.tolist(), strict=True)
        ),
    )


def require_raw_part(workspace: epath.PathLike, number: int) -> Part:
    """Reads a part that an earlier stage stored; raises UserError where it is gone."""
    part = read_part(workspace, number)
    if part is None:
        raise UserError(
            f"{facts_path(workspace, number)} or its pixels are damaged; delete them and run again"
        )
    return part


class PosterStore:
    """Reads pixels by movie number, in any order. A context manager: it keeps parts open.

    Placeholders are missing posters here, too.

    Args:
      workspace: its folder.
      max_open: parts that are open at a time.
    """

    def __init__(self, workspace: epath.PathLike, max_open: int = 256):
        self._workspace = workspace
        self._max_open = max_open
        self._placeholders = read_placeholders(workspace)
        self._parts: dict[int, tuple[IO[bytes], int]] = {}  # The part used last at the end.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        while self._parts:
            self._parts.popitem()[1][0].close()

    def __getitem__(self, movie: int) -> bytes | None:
        """Returns the pixels of a movie, <uint8>[64, 64, 3] as bytes; None without a poster."""
        number, place = divmod(movie, PART)
        file, end = self._parts.pop(number) if number in self._parts else self._open(number)
        self._parts[number] = file, end
        file.seek(end + 4 * place)
        slot = int.from_bytes(file.read(4), "little", signed=True)
        if slot < 0:
            return None
        file.seek(slot * _BYTES)
        pixels = file.read(_BYTES)
        if self._placeholders and pixels_digest(pixels) in self._placeholders:
            return None
        return pixels

    def _open(self, number: int) -> tuple[IO[bytes], int]:
        if len(self._parts) >= self._max_open:
            self._parts.pop(next(iter(self._parts)))[0].close()
        file = pixels_path(self._workspace, number).open("rb")
        return file, file.seek(-4 * PART, 2)
