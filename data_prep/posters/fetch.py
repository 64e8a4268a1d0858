"""Stage 2, fetch: posters from an image server into a folder laid out like it.

Memory: the answers under way. What is stored is never asked for again, nor is a 404.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from data_prep.options import PrepareConfig
from data_prep.posters import http_client, poster_folder
from data_prep.posters.http_client import FetchConfig
from data_prep.posters.manifest import Manifest
from data_prep.posters.store_process import Storing
from data_prep.workspace import movie_file as movies
from data_prep.workspace import storage
from data_prep.workspace.progress import Progress
from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses

STAGE: Final = "fetch"
FOLDER: Final = "images"
_LOOKED_UP: Final = 256  # Movies whose posters are looked up at a time.


def is_address(posters: object) -> bool:
    """Whether posters come from a server, not from a folder."""
    return web_addresses.is_address(str(posters))


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
        Storing(manifest) as storing,
    ):
        return asyncio.run(
            _fetch(_unknown(movie_file, manifest, storing, bar.update), storing, config, bar.update)
        )


def _unknown(
    movie_file: movies.MovieFile,
    manifest: Manifest,
    storing: Storing,
    advance: Callable[[int], object],
) -> Iterator[str]:
    """Yields, once each, the poster paths that have to be asked for; advances for other movies."""
    for start in range(0, len(movie_file), _LOOKED_UP):
        chosen = [*movie_file.range(start, min(start + _LOOKED_UP, len(movie_file)))]
        located = manifest.locate_all({movie.poster_path for movie in chosen if movie.poster_path})
        unknown = [
            poster_path
            for poster_path, place in located.items()
            if place is None and poster_path not in storing.pending  # Two movies may share one.
        ]
        advance(len(chosen) - len(unknown))
        storing.pending.update(unknown)
        yield from unknown


async def _fetch(
    poster_paths: Iterator[str],
    storing: Storing,
    config: FetchConfig,
    advance: Callable[[], object],
) -> int:
    async with http_client.open_client(config) as client:

        async def work() -> None:
            for poster_path in poster_paths:
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
    widths = poster_folder.widths_by_preference(config.width)
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
