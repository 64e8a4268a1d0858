"""Stage 6, encode: overviews and posters to the vectors of frozen encoders.

Only movies that are kept are encoded, each distinct text and picture once. What an encoder has said
is kept (`vector_cache`), so a killed run loses the batch under way, and one with another encoder
and back again loses nothing. Posters are decoded from their own files, in threads, at the size that
the encoder asks for, while it works on those before.
"""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from PIL import Image

from data_prep.encode import vector_files
from data_prep.encode.vector_cache import VectorCache, key_of
from data_prep.posters.poster_source import Locate, PosterSource
from data_prep.splits import split
from data_prep.workspace import pixel_parts, workers
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, file_digest, local_folder
from mmgenre import schema
from mmgenre.encoders.encoder import BATCH, FrozenEncoder
from mmgenre.errors import UserError
from mmgenre.inputs import poster_decoder
from mmgenre.inputs.poster_decoder import PosterError
from mmgenre.machine import files

_VERSION: Final = 1
_AHEAD: Final = 2  # Batches that are decoded while the encoder works.

_Asked = tuple[int, bytes, Any]
"""A movie's number, the key of its text or picture, and the text or the picture's file."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What encoding came to.

    Attributes:
      digest: of all vectors.
    """

    digest: str


@dataclasses.dataclass(frozen=True)
class Encode(Stage[Encoded]):
    """Writes a file of vectors for each encoder.

    Attributes:
      inputs: digest of movies, pixels and splits.
      encoders: by the feature of `schema.VECTORS` that each makes.
      source: where the posters are.
    """

    inputs: str
    encoders: Mapping[str, FrozenEncoder]
    source: PosterSource
    name: ClassVar[str] = "encode"
    outcome_type: ClassVar[type[Encoded]] = Encoded

    def key(self) -> str:
        """See `Stage`."""
        infos = {name: _facts(encoder) for name, encoder in self.encoders.items()}
        return digest(self.name, _VERSION, self.inputs, infos)

    def is_whole(self, workspace: Workspace, outcome: Encoded) -> bool:
        """See `Stage`."""
        try:
            return self._digest(workspace) == outcome.digest
        except OSError:
            return False

    def run(self, workspace: Workspace, progress: Progress) -> Encoded:
        """Raises UserError where an encoder fails, or a poster is not available any more."""
        folder = local_folder(workspace.path, vector_files.FOLDER)
        files.sweep(folder)
        kept = np.load(workspace.path / split.SPLIT_FILE) != split.DROPPED
        for feature, encoder in self.encoders.items():
            facts = digest(_facts(encoder))
            with (
                MovieFile(workspace.path) as movies,
                self.source.opened(workspace.path) as locate,
                VectorCache(folder / f"{feature}-{facts}.cache", encoder.info.size) as cache,
                concurrent.futures.ThreadPoolExecutor(workers.num_cores()) as threads,
            ):
                asked: list[_Asked]
                load: Callable[[Any], Any] = str
                if feature == schema.POSTER_VECTOR:
                    asked = list(_posters(workspace, movies, kept, locate, threads))
                    load = _loader(encoder.side)
                else:
                    asked = list(_overviews(movies, kept))
                with progress.bar(self.name, len(asked), _UNITS[feature]) as bar:
                    new = {key: what for _, key, what in asked if key not in cache}
                    bar.update(len(asked) - len(new))
                    for keys, inputs in _batches(list(new.items()), load, threads):
                        cache.add(keys, encoder.encode(inputs))
                        bar.update(len(keys))
                _write(workspace, feature, len(kept), encoder.info.size, asked, cache)
        return Encoded(self._digest(workspace))

    def _digest(self, workspace: Workspace) -> str:
        paths = (vector_files.vectors_path(workspace.path, name) for name in self.encoders)
        return digest(*map(file_digest, paths))


_UNITS: Final = {schema.POSTER_VECTOR: "posters", schema.OVERVIEW_VECTOR: "overviews"}


def _facts(encoder: FrozenEncoder) -> list[object]:
    """What decides what an encoder says."""
    return [encoder.info.digest, encoder.info.size, encoder.info.preprocessing]


def _overviews(movies: MovieFile, kept: np.ndarray) -> Iterator[_Asked]:
    for number, movie in enumerate(movies):
        if kept[number] and movie.overview:
            yield number, key_of(movie.overview.encode("utf-8")), movie.overview


def _posters(
    workspace: Workspace,
    movies: MovieFile,
    kept: np.ndarray,
    locate: Locate,
    threads: concurrent.futures.Executor,
) -> Iterator[_Asked]:
    """Yields the posters that were decoded: placeholders and damaged ones are none here, too."""
    for part in range(pixel_parts.num_parts(len(movies))):
        numbers = pixel_parts.part_range(part, len(movies))
        status = pixel_parts.require_part(workspace.path, part).status
        found = [
            (number, locate(movie)[0])
            for number, movie, said in zip(
                numbers, movies.range(numbers.start, numbers.stop), status, strict=True
            )
            if kept[number] and said == pixel_parts.FOUND
        ]
        keys = threads.map(lambda path: key_of(_read(path)), [path for _, path in found])
        for (number, path), key in zip(found, keys, strict=True):
            yield number, key, path


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"the poster {path!r} was there when it was decoded, and cannot be read now "
            f"({error.strerror}); run again"
        ) from error


def _loader(side: int) -> Callable[[str], Image.Image]:
    def load(path: str) -> Image.Image:
        try:
            return Image.fromarray(poster_decoder.decode_poster(_read(path), side=side))
        except PosterError as error:
            raise UserError(f"the poster {path} cannot be encoded: {error}") from error

    return load


def _batches(
    items: Sequence[tuple[bytes, Any]],
    load: Callable[[Any], Any],
    threads: concurrent.futures.Executor,
) -> Iterator[tuple[list[bytes], list[Any]]]:
    """Yields (keys, texts or pictures) in batches; the next ones are loaded meanwhile."""
    if load is str:  # Similar lengths together: what pads a batch is computed, too.
        items = sorted(items, key=lambda item: len(item[1]))
    ahead: collections.deque[tuple[list[bytes], list[concurrent.futures.Future[Any]]]]
    ahead = collections.deque()
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        ahead.append(([key for key, _ in some], [threads.submit(load, what) for _, what in some]))
        if len(ahead) > _AHEAD:
            keys, loading = ahead.popleft()
            yield keys, [future.result() for future in loading]
    for keys, loading in ahead:
        yield keys, [future.result() for future in loading]


def _write(
    workspace: Workspace,
    feature: str,
    num_movies: int,
    size: int,
    asked: Sequence[_Asked],
    cache: VectorCache,
) -> None:
    """Writes the vectors in the movies' order, zeros for those that have no such half."""
    keys = {number: key for number, key, _ in asked}
    nothing = bytes(2 * size)
    with files.atomic_write(vector_files.vectors_path(workspace.path, feature)) as file:
        for number in range(num_movies):
            file.write(cache[keys[number]] if number in keys else nothing)
