"""Stage 2, fetch: posters from an image server into a folder laid out like it.

Memory: the answers under way. What is stored is never asked for again, nor is a 404.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from etils import epath

from data_prep.options import PrepareConfig
from data_prep.posters import http_client, own_loop, poster_folder
from data_prep.posters.http_client import FetchConfig
from data_prep.posters.manifest import Manifest
from data_prep.posters.poster_source import NO_PATH, NOT_FOUND, Locate
from data_prep.posters.store_process import Storing
from data_prep.workspace.movie_file import Movie, MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, local_folder
from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses

FOLDER: Final = "images"
_LOOKED_UP: Final = 256  # Movies whose posters are looked up at a time.


def is_address(posters: object) -> bool:
    """Whether posters come from a server, not from a folder."""
    return web_addresses.is_address(str(posters))


@dataclasses.dataclass(frozen=True)
class ImageServer:
    """The posters that were fetched from a server, as `Fetch` leaves them in a workspace.

    Attributes:
      config: of the server and how to ask it.
    """

    config: FetchConfig

    def open_manifest(self, workspace: epath.PathLike) -> Manifest:
        """Opens its manifest; another server or list of widths has another one."""
        name = digest(self.config.base.rstrip("/"), self.config.widths)[:12]
        return Manifest(local_folder(workspace, FOLDER) / name, self.config.widths)

    @contextlib.contextmanager
    def opened(self, workspace: epath.PathLike) -> Iterator[Locate]:
        """Yields how to find a poster among those that were fetched."""
        with self.open_manifest(workspace) as manifest:

            def locate(movie: Movie) -> tuple[str, str]:
                if not movie.poster_path:
                    return "", NO_PATH
                return manifest.locate(movie.poster_path) or ("", NOT_FOUND)

            yield locate


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What fetching came to.

    Attributes:
      requests: that were sent.
    """

    requests: int


@dataclasses.dataclass(frozen=True)
class Fetch(Stage[Fetched]):
    """Asks for each poster of the workspace's movies that the server's manifest does not know.

    Attributes:
      server: to ask; its manifest gets the posters, and why others are not to be had.
      ask_again: whether to ask again for posters that were missing or corrupt. Those that were
        given up for the time being are asked for again in any case.
    """

    server: ImageServer
    ask_again: bool = False
    name: ClassVar[str] = "fetch"

    def run(self, workspace: Workspace, progress: Progress) -> Fetched:
        """Raises UserError where the server is out of reach, or the disk refuses."""
        return Fetched(own_loop.call(functools.partial(self._fetch, workspace, progress)))

    def _fetch(self, workspace: Workspace, progress: Progress, run: own_loop.Run[int]) -> int:
        with (
            self.server.open_manifest(workspace.path) as manifest,
            MovieFile(workspace.path) as movies,
            progress.bar(self.name, len(movies), "movies") as bar,
        ):
            manifest.forget_failures(temporary_only=not self.ask_again)
            with Storing(manifest) as storing:
                unknown = _unknown(movies, manifest, storing, bar.update)
                return run(_fetch(unknown, storing, self.server.config, bar.update))


def _unknown(
    movies: MovieFile,
    manifest: Manifest,
    storing: Storing,
    advance: Callable[[int], object],
) -> Iterator[str]:
    """Yields, once each, the poster paths that have to be asked for; advances for other movies."""
    for start in range(0, len(movies), _LOOKED_UP):
        chosen = [*movies.range(start, min(start + _LOOKED_UP, len(movies)))]
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


def server_config(config: PrepareConfig) -> FetchConfig:
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
