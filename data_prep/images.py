"""The decoded posters of a workspace, in parts of a fixed number of movies."""

import dataclasses
import functools
import os
from typing import Final

import numpy as np
from etils import epath

from data_prep import storage
from mmgenre import schema

FOLDER: Final = "posters"
PART: Final = 4096
"""Movies in a part: 48 MiB of pixels when all have a poster."""

_BYTES: Final = int(np.prod(schema.POSTER_SHAPE))
FOUND: Final = ""
"""The status of a movie whose poster was decoded; any other is why it has none."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What is known of the posters of up to `PART` movies.

    Attributes:
      key: digest of what the part was made from.
      slot: <int32>[num_movies], place of the movie's pixels in the part, -1 without a poster.
      digest: <uint64>[num_movies], of the pixels; 0 without a poster.
      status: of each movie: `FOUND`, or why there is no poster.
    """

    key: str
    slot: np.ndarray
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


def write_part(workspace: epath.PathLike, number: int, part: Part, temporary: epath.Path) -> None:
    """Stores a part whose pixels have been written to the file `temporary`."""
    os.replace(temporary, pixels_path(workspace, number))
    write_facts(workspace, number, part)


def write_facts(workspace: epath.PathLike, number: int, part: Part) -> None:
    """Stores all of a part but its pixels; they must be in their file already."""
    with storage.atomic_write(facts_path(workspace, number)) as file:
        np.savez(
            file,
            key=np.array(part.key),
            slot=part.slot,
            digest=part.digest,
            status=np.array(part.status, dtype=np.str_),
        )


def read_part(workspace: epath.PathLike, number: int) -> Part | None:
    """Reads a part; None where it is not there or not whole."""
    try:
        with (
            facts_path(workspace, number).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            part = Part(
                key=str(arrays["key"]),
                slot=arrays["slot"],
                digest=arrays["digest"],
                status=tuple(map(str, arrays["status"])),
            )
        num_posters = int(part.slot.max(initial=-1)) + 1
        length = pixels_path(workspace, number).stat().length
        return part if length == num_posters * _BYTES else None
    except (OSError, ValueError, KeyError):
        return None


class PosterStore:
    """Reads pixels by movie number, in any order, keeping a few parts open."""

    def __init__(self, workspace: epath.PathLike, max_open: int = 16):
        self._workspace = workspace
        self._part = functools.lru_cache(maxsize=max_open)(self._open)

    def _open(self, number: int) -> tuple[np.ndarray, object]:
        part = read_part(self._workspace, number)
        if part is None:
            raise FileNotFoundError(facts_path(self._workspace, number))
        return part.slot, pixels_path(self._workspace, number).open("rb")

    def __getitem__(self, movie: int) -> bytes | None:
        """Returns the pixels of a movie, <uint8>[64, 64, 3] as bytes; None without a poster."""
        slots, file = self._part(movie // PART)
        slot = int(slots[movie % PART])
        if slot < 0:
            return None
        file.seek(slot * _BYTES)  # type: ignore[attr-defined]
        return file.read(_BYTES)  # type: ignore[attr-defined]
