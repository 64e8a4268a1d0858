"""Decoding and writing on Apache Beam, for data sets beyond one machine (extra `[beam]`).

The workspace must then be where all workers reach it: a shared folder or an object store. Reading
the metadata, splitting and training the tokenizer stay on the machine that starts the pipelines.
Shards are written by TFDS's own Beam writer, which orders records as `order` does, so that both
paths make the same shards.
"""

import asyncio
from typing import Any, Final

from etils import epath

from data_prep.options import PrepareConfig
from data_prep.posters import decode as local_decode
from data_prep.posters import fetch, http_client, poster_folder
from data_prep.posters.http_client import FetchConfig
from data_prep.shards import shard_order, tfds_metadata
from data_prep.shards import write as local_write
from data_prep.splits import split
from data_prep.workspace import movie_file as movies
from data_prep.workspace import pixel_parts, storage
from data_prep.workspace.progress import Progress
from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files

_STAGE: Final = "beam decode"


def decode(workspace: storage.Workspace, config: PrepareConfig, progress: Progress) -> None:
    """Fetches and decodes the posters, part by part; a part that is stored is not done again.

    Args:
      workspace: holds the movies; gets the pixels.
      config: of the posters and of Beam.
      progress: told which pipeline runs.

    Raises:
      UserError: Beam is not installed, or there is no such folder of posters.
    """
    beam = _beam()
    if config.posters is not None and not fetch.is_address(config.posters):
        # Raises while there is a user to read it.
        poster_folder.Folder(config.posters, config.width)
    (workspace.path / pixel_parts.FOLDER).mkdir(parents=True, exist_ok=True)
    with movies.MovieFile(workspace.path) as movie_file:
        num_parts = pixel_parts.num_parts(len(movie_file))
    progress.note(f"{_STAGE}: {num_parts:,} parts on {config.runner}")
    with beam.Pipeline(options=_options(config)) as pipeline:
        _ = (
            pipeline
            | "Parts" >> beam.Create(range(num_parts))
            | "Spread" >> beam.Reshuffle()
            | "Decode" >> beam.Map(decode_part, str(workspace.path), config)
        )


def decode_part(number: int, workspace: str, config: PrepareConfig) -> None:
    """Fetches, decodes and stores one part, on a worker."""
    with movies.MovieFile(workspace) as movie_file:
        numbers = pixel_parts.part_range(number, len(movie_file))
        chosen = list(movie_file.range(numbers.start, numbers.stop))
    poster_paths = [movie.poster_path for movie in chosen]
    source = (str(config.posters), config.width, config.fallback_widths)
    key = storage.digest(_STAGE, source, poster_paths)
    part = pixel_parts.read_part(workspace, number)
    if part is not None and part.key == key and not _gave_up(part):
        return
    if fetch.is_address(config.posters):
        results = asyncio.run(_fetch(poster_paths, fetch.server(config)))
    elif config.posters is not None:
        results = _read(chosen, poster_folder.Folder(config.posters, config.width))
    else:
        results = [poster_folder.NO_PATH] * len(chosen)
    pixel_parts.write_part(workspace, number, key, results)


def _gave_up(part: pixel_parts.Part) -> bool:
    return any(status.startswith("gave up") for status in part.status)


def _read(chosen: list[movies.Movie], source: poster_folder.Folder) -> list[bytes | str]:
    results: list[bytes | str] = []
    for movie in chosen:
        path, reason = source.locate(movie)
        results.append(local_decode.decode_file(path) if path else reason)
    return results


async def _fetch(poster_paths: list[str], server: FetchConfig) -> list[bytes | str]:
    results: dict[str, bytes | str] = {"": poster_folder.NO_PATH}
    waiting = iter(dict.fromkeys(path for path in poster_paths if path))
    async with http_client.open_client(server) as client:

        async def work() -> None:
            for poster_path in waiting:
                answer = await client.poster(poster_path)
                results[poster_path] = (
                    await asyncio.to_thread(local_decode.decode_bytes, bytes(answer.data))
                    if answer.data is not None
                    else answer.status
                )

        async with asyncio.TaskGroup() as tasks:
            for _ in range(server.concurrency):
                tasks.create_task(work())
    return [results[poster_path] for poster_path in poster_paths]


def write(plan: local_write.Plan, config: PrepareConfig, progress: Progress) -> None:
    """Writes the shards of every split with TFDS's Beam writer.

    Raises:
      UserError: Beam is not installed.
    """
    stored = plan.workspace.outcome(local_write.STAGE, plan.key)
    if stored is not None and all((plan.out / name).exists() for name in stored):
        progress.skipped(local_write.STAGE)
        return
    local_write.remove_dataset(plan.out)
    sizes: dict[str, int] = {}
    for name in schema.SPLITS:
        numbers, _ = split.load_split(plan.workspace.path, name)
        if not len(numbers):
            continue
        num_shards = shard_order.num_shards(len(numbers), plan.num_shards)
        progress.note(f"beam write: {len(numbers):,} movies of {name} on {config.runner}")
        built = _build_split(plan, name, num_shards, config)
        for shard in sorted(built.glob(f"mmgenre-{name}.tfrecord-*")):
            target = plan.out / shard.name
            shard.rename(target) if not storage.is_remote(target) else shard.copy(target)
            sizes[shard.name] = files.size(target)
    plan.workspace.finish(local_write.STAGE, plan.key, sizes)


def _build_split(
    plan: local_write.Plan, name: str, num_shards: int, config: PrepareConfig
) -> epath.Path:
    """Runs TFDS's builder for one split; returns the folder of its shards."""
    tfds = tfds_metadata.import_tfds()
    from data_prep.beam import builder as beam_builder

    folder_ = plan.workspace.path / "beam" / name
    if folder_.exists():
        folder_.rmtree()
    builder = beam_builder.MoviesBuilder(
        data_dir=folder_,
        split=name,
        workspace=str(plan.workspace.path),
        max_tokens=plan.max_tokens,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            beam_options=_options(config), num_shards=num_shards
        )
    )
    return epath.Path(builder.data_dir)


def _options(config: PrepareConfig) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions([f"--runner={config.runner}", *config.beam_options])


def _beam() -> Any:
    try:
        import apache_beam
    except ImportError as error:
        raise UserError(
            "--runner needs Apache Beam; install it with: pip install 'mmgenre[beam]'"
        ) from error
    return apache_beam
