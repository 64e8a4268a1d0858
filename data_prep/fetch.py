"""Stage 2, fetch: posters from an image server into a folder laid out like it.

Memory: the answers under way. What is stored is never asked for again, nor is a 404.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from data_prep import folder, http_client, movies, storage
from data_prep.http_client import FetchConfig
from data_prep.manifest import Manifest, Storing
from data_prep.options import PrepareConfig
from data_prep.progress import Progress
from mmgenre.errors import UserError

STAGE: Final = "fetch"
FOLDER: Final = "images"


def is_address(posters: object) -> bool:
    """Whether posters come from a server, not from a folder."""
    return str(posters).startswith(("http://", "https://"))


def open_manifest(workspace: storage.Workspace, config: FetchConfig) -> Manifest:
    """Opens the manifest of a server; another server or list of widths has another one."""
    name = storage.digest(config.base.rstrip("/"), config.widths)[:12]
    return Manifest(workspace.local_folder(FOLDER) / name, config.widths)


def fetch(
    workspace: storage.Workspace,
    manifest: Manifest,
    config: FetchConfig,
    ask_again: bool,
    progress: Progress,
) -> int:
    """Asks for each poster of the workspace's movies that the manifest does not know.

    Args:
      workspace: holds the movies.
      manifest: gets the posters, and why others are not to be had.
      config: of the server and how to ask it.
      ask_again: whether to ask again for posters that were missing or corrupt. Those that were
        given up for the time being are asked for again in any case.
      progress: shown while fetching.

    Returns:
      The number of requests.

    Raises:
      UserError: the server is out of reach, or the disk refuses.
    """
    manifest.forget_failures(temporary_only=not ask_again)
    with (
        movies.MovieFile(workspace.path) as movie_file,
        progress.bar(STAGE, len(movie_file), "movies") as bar,
    ):

        def unknown() -> Iterator[str]:
            for movie in movie_file:
                if movie.poster_path and manifest.locate(movie.poster_path) is None:
                    yield movie.poster_path
                else:
                    bar.update()

        return asyncio.run(_fetch(unknown(), manifest, config, bar.update))


async def _fetch(
    poster_paths: Iterator[str],
    manifest: Manifest,
    config: FetchConfig,
    advance: Callable[[], object],
) -> int:
    with Storing(manifest) as storing:
        async with http_client.open_client(config) as client:

            async def work() -> None:
                for poster_path in poster_paths:
                    if poster_path not in storing.pending:  # Two movies may share one.
                        storing.pending.add(poster_path)
                        storing.put(poster_path, await client.poster(poster_path))
                    advance()

            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(config.concurrency):
                        tasks.create_task(work())
            except* UserError as errors:
                raise errors.exceptions[0] from None
            return client.num_requests


def server(config: PrepareConfig) -> FetchConfig:
    """The part of a preparation's config that is about the image server."""
    widths = folder.widths_by_preference(config.width)
    if config.fallback_widths is not None:
        widths = tuple(dict.fromkeys((config.width, *config.fallback_widths)))
    return FetchConfig(
        base=str(config.posters),
        widths=widths,
        concurrency=config.concurrency,
        rate=config.rate,
        tries=config.tries,
        timeout=config.timeout,
        backoff=config.backoff,
    )
