"""The vectors of a workspace's movies, in the same parts as the pixels: a folder for each feature.

A part is a file of its movies' vectors in their order, zeros for a movie without that half.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import IO, Final, Self

from etils import epath

from data_prep.workspace import pixel_parts
from data_prep.workspace.stages import digest
from mmgenre.errors import UserError
from mmgenre.machine import files

FOLDER: Final = "vectors"


def folder(workspace: epath.PathLike, feature: str) -> epath.Path:
    """The folder of a feature's parts."""
    return epath.Path(workspace) / FOLDER / feature


def part_path(workspace: epath.PathLike, feature: str, part: int) -> epath.Path:
    """The file of a part: <float16>[movies of the part, size], little-endian."""
    return folder(workspace, feature) / f"{part:05d}.f16"


def write_part(
    workspace: epath.PathLike,
    feature: str,
    part: int,
    num_movies: int,
    vectors: Mapping[int, bytes],
    size: int,
) -> None:
    """Writes a part.

    Args:
      workspace: its folder.
      feature: of `schema.VECTORS`.
      part: its number.
      num_movies: of the whole workspace.
      vectors: <float16>[size] as bytes, by the numbers of movies.
      size: values of a vector.
    """
    nothing = bytes(2 * size)
    numbers = pixel_parts.part_range(part, num_movies)
    with files.atomic_write(part_path(workspace, feature, part)) as file:
        file.write(b"".join(vectors.get(number, nothing) for number in numbers))


def digest_of(workspace: epath.PathLike, features: Iterable[str], num_movies: int) -> str:
    """Returns a digest of all vectors of features; raises OSError where a part is missing."""
    digests = []
    for feature in features:
        of_feature = hashlib.sha256()
        for part in range(pixel_parts.num_parts(num_movies)):
            of_feature.update(part_path(workspace, feature, part).read_bytes())
        digests.append(of_feature.hexdigest())
    return digest(*digests)


class VectorStore:
    """Reads vectors by movie number, in any order. A context manager: it keeps parts open.

    Args:
      workspace: its folder.
      sizes: values of a vector, by feature.
      max_open: parts that are open at a time.
    """

    def __init__(self, workspace: epath.PathLike, sizes: Mapping[str, int], max_open: int = 128):
        self._workspace, self._sizes, self._max_open = workspace, dict(sizes), max_open
        self._parts: dict[tuple[str, int], IO[bytes]] = {}  # The part used last at the end.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        while self._parts:
            self._parts.popitem()[1].close()

    def __getitem__(self, movie: int) -> dict[str, bytes]:
        """Returns a movie's vectors <float16>[size] as bytes, by feature.

        Raises:
          UserError: a part is missing or damaged.
        """
        part, place = divmod(movie, pixel_parts.PART)
        return {name: self._read(name, part, place, 2 * size) for name, size in self._sizes.items()}

    def _read(self, feature: str, part: int, place: int, num_bytes: int) -> bytes:
        try:
            file = self._parts.pop((feature, part), None) or self._open(feature, part)
            self._parts[feature, part] = file
            file.seek(place * num_bytes)
            vector = file.read(num_bytes)
            if len(vector) != num_bytes:
                raise OSError("it is too short")
        except OSError as error:
            path = part_path(self._workspace, feature, part)
            raise UserError(
                f"{path} is missing or damaged ({error}); delete {path.parent} and run again"
            ) from error
        return vector

    def _open(self, feature: str, part: int) -> IO[bytes]:
        if len(self._parts) >= self._max_open:
            self._parts.pop(next(iter(self._parts))).close()
        file: IO[bytes] = part_path(self._workspace, feature, part).open("rb")
        return file
