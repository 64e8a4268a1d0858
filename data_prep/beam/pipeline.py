"""Decoding and writing on Apache Beam, for data sets beyond one machine (extra `[beam]`).

The workspace must then be where all workers reach it: a shared folder or an object store. Reading
the metadata, splitting and training the tokenizer stay on the machine that starts the pipelines.
Shards are written by TFDS's own Beam writer, which orders records as `order` does, so that both
paths make the same shards.
"""

import asyncio
import dataclasses
from typing import ClassVar, Final

from etils import epath

from data_prep.options import PrepareConfig
from data_prep.posters import decode, fetch, http_client, own_loop, poster_folder
from data_prep.posters.decode import Decoded
from data_prep.posters.fetch import ImageServer
from data_prep.posters.http_client import FetchConfig
from data_prep.posters.poster_source import NO_PATH, NOT_ASKED
from data_prep.shards import shard_order, tfds_metadata, write
from data_prep.shards.write import ShardPlan
from data_prep.splits import split
from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import Movie, MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest
from mmgenre import schema
from mmgenre.machine import beam as beam_machine
from mmgenre.machine import files

_KEY: Final = "beam decode"


@dataclasses.dataclass(frozen=True)
class BeamDecode(Stage[Decoded]):
    """Fetches and decodes the posters, part by part; a part that is stored is not done again.

    Attributes:
      config: of the posters and of Beam.
    """

    config: PrepareConfig
    name: ClassVar[str] = "beam decode"

    def run(self, workspace: Workspace, progress: Progress) -> Decoded:
        """Raises UserError where Beam is not installed, or there is no such folder of posters."""
        beam, config = beam_machine.import_beam(), self.config
        if config.posters is not None and not fetch.is_fetching(config):
            # Raises while there is a user to read it.
            poster_folder.Folder(config.posters, config.width).check(workspace.path)
        (workspace.path / pixel_parts.FOLDER).mkdir(parents=True, exist_ok=True)
        with MovieFile(workspace.path) as movies:
            num_movies = len(movies)
        num_parts = pixel_parts.num_parts(num_movies)
        progress.note(f"{self.name}: {num_parts:,} parts on {config.runner}")
        with beam_machine.pipeline(config.runner, config.beam_options) as pipeline:
            _ = (
                pipeline
                | "Parts" >> beam.Create(range(num_parts))
                | "Spread" >> beam.Reshuffle()
                | "Decode" >> beam.Map(decode_part, str(workspace.path), config)
            )
        return decode.summary(workspace, num_movies, progress)


def decode_part(number: int, workspace: str, config: PrepareConfig) -> None:
    """Fetches, decodes and stores one part, on a worker."""
    with MovieFile(workspace) as movies:
        numbers = pixel_parts.part_range(number, len(movies))
        chosen = list(movies.range(numbers.start, numbers.stop))
    poster_paths = [movie.poster_path for movie in chosen]
    source = (str(config.posters), config.width, config.fallback_widths, config.fetch_posters)
    key = digest(_KEY, source, poster_paths)
    part = pixel_parts.read_part(workspace, number)
    if part is not None and part.key == key and not _gave_up(part):
        return
    if fetch.is_fetching(config):
        server = ImageServer(fetch.server_config(config))
        asked = [server.asked_for(movie) for movie in chosen]
        results = _fetch_all(asked, server.config)
    elif config.posters is not None:
        results = _read(chosen, poster_folder.Folder(config.posters, config.width))
    else:
        results = [NOT_ASKED if movie.poster_path else NO_PATH for movie in chosen]
    pixel_parts.write_part(workspace, number, key, results)


def _gave_up(part: pixel_parts.Part) -> bool:
    return any(status.startswith("gave up") for status in part.status)


def _read(chosen: list[Movie], source: poster_folder.Folder) -> list[bytes | str]:
    results: list[bytes | str] = []
    for movie in chosen:
        path, reason = source.locate(movie)
        results.append(decode.decode_file(path) if path else reason)
    return results


def _fetch_all(poster_paths: list[str], server: FetchConfig) -> list[bytes | str]:
    def fetch_in(run: own_loop.Run[list[bytes | str]]) -> list[bytes | str]:
        return run(_fetch(poster_paths, server))

    return own_loop.call(fetch_in)


async def _fetch(poster_paths: list[str], server: FetchConfig) -> list[bytes | str]:
    results: dict[str, bytes | str] = {"": NO_PATH}
    waiting = iter(dict.fromkeys(path for path in poster_paths if path))
    async with http_client.open_client(server) as client:

        async def work() -> None:
            for poster_path in waiting:
                answer = await client.poster(poster_path)
                results[poster_path] = (
                    await asyncio.to_thread(decode.decode_bytes, bytes(answer.data))
                    if answer.data is not None
                    else answer.status
                )

        async with asyncio.TaskGroup() as tasks:
            for _ in range(server.concurrency):
                tasks.create_task(work())
    return [results[poster_path] for poster_path in poster_paths]


@dataclasses.dataclass(frozen=True)
class BeamWrite(Stage[dict[str, int]]):
    """Writes the shards of every split with TFDS's Beam writer; comes to the bytes of each.

    Attributes:
      plan: what to write.
      config: of Beam.
    """

    plan: ShardPlan
    config: PrepareConfig
    name: ClassVar[str] = write.NAME

    def key(self) -> str:
        """See `Stage`."""
        return self.plan.key()

    def is_whole(self, workspace: Workspace, outcome: dict[str, int]) -> bool:
        """See `Stage`."""
        return not self.plan.missing(workspace.path, outcome)

    def run(self, workspace: Workspace, progress: Progress) -> dict[str, int]:
        """Raises UserError where Beam is not installed."""
        write.remove_dataset(self.plan.out)
        sizes: dict[str, int] = {}
        for name in schema.SPLITS:
            numbers, _ = split.load_split(workspace.path, name)
            if not len(numbers):
                continue
            progress.note(f"beam write: {len(numbers):,} movies of {name} on {self.config.runner}")
            built = self._build_split(workspace, name, len(numbers))
            for shard in sorted(built.glob(f"mmgenre-{name}.tfrecord-*")):
                target = self.plan.out / shard.name
                shard.copy(target) if files.is_remote(target) else shard.rename(target)
                sizes[shard.name] = files.size(target)
        return sizes

    def _build_split(self, workspace: Workspace, name: str, num_movies: int) -> epath.Path:
        """Runs TFDS's builder for one split; returns the folder of its shards."""
        tfds = tfds_metadata.import_tfds()
        from data_prep.beam.builder import MoviesBuilder

        folder = workspace.path / "beam" / name
        if folder.exists():
            folder.rmtree()
        builder = MoviesBuilder(
            data_dir=folder,
            split=name,
            workspace=str(workspace.path),
            max_tokens=self.plan.max_tokens,
            num_genres=self.plan.num_genres,
            vector_sizes=dict(self.plan.vector_sizes),
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                beam_options=beam_machine.pipeline_options(
                    self.config.runner, self.config.beam_options
                ),
                num_shards=shard_order.num_shards(num_movies, self.plan.num_shards),
            )
        )
        return epath.Path(builder.data_dir)
