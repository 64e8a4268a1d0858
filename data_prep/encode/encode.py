"""Stage 5, encode: overviews and posters to the vectors of frozen encoders.

Only movies that are kept are encoded, each distinct text and picture once. What an encoder has said
is kept (`vector_cache`), so a killed run loses the batch under way, and one with another encoder
and back again loses nothing. Posters are decoded from their own files, in threads, at the size that
the encoder asks for, while it works on those before.
"""

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from data_prep.encode import vector_files
from data_prep.encode.asked import Asked, asked_of_part, loader
from data_prep.encode.batches import batches
from data_prep.encode.known_encoder import KnownEncoder
from data_prep.encode.vector_cache import VectorCache
from data_prep.posters.poster_source import PosterSource
from data_prep.splits import split
from data_prep.workspace import pixel_parts, workers
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, local_folder, make_folder
from mmgenre import schema
from mmgenre.machine import files

NAME: Final = "encode"
_VERSION: Final = 1
_UNITS: Final = {schema.POSTER_VECTOR: "posters", schema.OVERVIEW_VECTOR: "overviews"}


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What encoding came to.

    Attributes:
      digest: of all vectors.
    """

    digest: str


@dataclasses.dataclass(frozen=True)
class EncodePlan:
    """What is encoded by what.

    Attributes:
      inputs: digest of movies, pixels and splits.
      encoders: by the feature of `schema.VECTORS` that each makes.
    """

    inputs: str
    encoders: Mapping[str, KnownEncoder]

    def key(self) -> str:
        """Changes whenever the vectors do."""
        facts = {feature: encoder.info.facts() for feature, encoder in self.encoders.items()}
        return digest(NAME, _VERSION, self.inputs, facts)

    def encoded(self, workspace: Workspace) -> Encoded:
        """Returns what was encoded; raises OSError where some of it is missing."""
        with MovieFile(workspace.path) as movies:
            num_movies = len(movies)
        return Encoded(vector_files.digest_of(workspace.path, self.encoders, num_movies))

    def is_whole(self, workspace: Workspace, outcome: Encoded) -> bool:
        """Whether what was encoded is still there."""
        try:
            return self.encoded(workspace) == outcome
        except OSError:
            return False


@dataclasses.dataclass(frozen=True)
class Encode(Stage[Encoded]):
    """Writes vectors by each encoder.

    Attributes:
      plan: what to encode.
      source: where the posters are.
    """

    plan: EncodePlan
    source: PosterSource
    name: ClassVar[str] = NAME
    outcome_type: ClassVar[type[Encoded]] = Encoded

    def key(self) -> str:
        """See `Stage`."""
        return self.plan.key()

    def is_whole(self, workspace: Workspace, outcome: Encoded) -> bool:
        """See `Stage`."""
        return self.plan.is_whole(workspace, outcome)

    def run(self, workspace: Workspace, progress: Progress) -> Encoded:
        """Raises UserError where an encoder fails, or a poster is not available any more."""
        folder = local_folder(workspace.path, vector_files.FOLDER)
        files.sweep(folder)
        for feature, encoder in self.plan.encoders.items():
            cache_path = folder / f"{feature}-{digest(encoder.info.facts())}.cache"
            with (
                MovieFile(workspace.path) as movies,
                VectorCache(cache_path, encoder.info.size) as cache,
                concurrent.futures.ThreadPoolExecutor(workers.num_cores()) as threads,
            ):
                asked = self._asked(workspace, feature, movies, threads)
                with progress.bar(self.name, len(asked), _UNITS[feature]) as bar:
                    new = {key: what for _, key, what in asked if key not in cache}
                    bar.update(len(asked) - len(new))
                    if new:  # An encoder that has nothing to say is not loaded.
                        frozen = encoder.loaded()
                        load = loader(frozen.side)
                        for keys, inputs in batches(list(new.items()), load, threads):
                            cache.add(keys, frozen.encode(inputs))
                            bar.update(len(keys))
                _write(workspace, feature, len(movies), asked, cache)
        return self.plan.encoded(workspace)

    def _asked(
        self,
        workspace: Workspace,
        feature: str,
        movies: MovieFile,
        threads: concurrent.futures.Executor,
    ) -> list[Asked]:
        kept = np.load(workspace.path / split.SPLIT_FILE) != split.DROPPED
        with self.source.opened(workspace.path) as locate:
            return [
                asked
                for part in range(pixel_parts.num_parts(len(movies)))
                for asked in asked_of_part(
                    feature, workspace.path, part, movies, kept, locate, threads
                )
            ]


def _write(
    workspace: Workspace,
    feature: str,
    num_movies: int,
    asked: Sequence[Asked],
    cache: VectorCache,
) -> None:
    keys = {number: key for number, key, _ in asked}
    make_folder(vector_files.folder(workspace.path, feature))
    for part in range(pixel_parts.num_parts(num_movies)):
        numbers = pixel_parts.part_range(part, num_movies)
        vectors = {number: cache[keys[number]] for number in numbers if number in keys}
        vector_files.write_part(workspace.path, feature, part, num_movies, vectors, cache.size)
