"""Stage 2, fetch: posters from an image server into a folder laid out like it.

Memory: the answers under way. What is stored is never asked for again, nor is a 404.
"""

import asyncio
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

from etils import epath

from data_prep.options import PrepareConfig
from data_prep.posters import http_client, own_loop
from data_prep.posters.http_answer import MISSING
from data_prep.posters.http_client import FetchConfig
from data_prep.posters.manifest import Manifest
from data_prep.posters.poster_source import NO_PATH, NOT_FOUND, Locate
from data_prep.posters.store_process import Storing
from data_prep.workspace.movie_file import Movie, MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, local_folder
from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses
from mmgenre.inputs.poster_folder import ENOUGH
from mmgenre.inputs.poster_places import server_path, split_base, widths_by_preference

FOLDER: Final = "images"
_LOOKED_UP: Final = 256  # Movies whose posters are looked up at a time.
_FIRST: Final = 200  # Answers, of which one at least should be a poster.


def is_fetching(config: PrepareConfig) -> bool:
    """Whether posters come from servers, not from a folder."""
    return config.fetch_posters is not None or web_addresses.is_address(str(config.posters))


@dataclasses.dataclass(frozen=True)
class ImageServer:
    """The posters that were fetched from a server, as `Fetch` leaves them in a workspace.

    Attributes:
      config: of the server and how to ask it.
    """

    config: FetchConfig

    def asked_for(self, movie: Movie) -> str:
        """Returns the path at the server of a movie's poster, its address elsewhere, or ""."""
        path = server_path(movie.poster_path) if self.config.base else ""
        return path or movie.poster_path

    def require_some(self, statuses: Sequence[str], path: str) -> None:
        """Raises UserError where the first posters that were asked for are all missing.

        Args:
          statuses: of those posters.
          path: of one of them.
        """
        missing = (MISSING, NOT_FOUND)
        if len(statuses) >= ENOUGH and all(status in missing for status in statuses):
            if not web_addresses.is_address(path):
                path = f"{self.config.base.rstrip('/')}/{self.config.widths[0]}{path}"
            raise UserError(
                f"none of the first {len(statuses)} posters is available: asked for {path}, say; "
                "give the address that the catalogue's poster paths belong to with --posters, or "
                "leave --posters out to go without posters"
            )

    def open_manifest(self, workspace: epath.PathLike) -> Manifest:
        """Opens its manifest; another server or list of widths has another one."""
        name = digest(self.config.base.rstrip("/"), self.config.widths)[:12]
        return Manifest(local_folder(workspace, FOLDER) / name, self.config.widths)

    @contextlib.contextmanager
    def opened(self, workspace: epath.PathLike) -> Iterator[Locate]:
        """Yields how to find a poster among those that were fetched.

        Raises:
          UserError: many movies name a poster, and not one of the first was available.
        """
        with self.open_manifest(workspace) as manifest:

            def locate(movie: Movie) -> tuple[str, str]:
                if not movie.poster_path:
                    return "", NO_PATH
                return manifest.locate(self.asked_for(movie)) or ("", NOT_FOUND)

            with MovieFile(workspace) as movies:
                named = (movie for movie in movies if movie.poster_path)
                first = list(itertools.islice(named, _FIRST))
            if first:
                statuses = [locate(movie)[1] for movie in first]
                self.require_some(statuses, self.asked_for(first[0]))
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
      server: to ask; its manifest gets the posters, and why others are not available.
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
                unknown = _unknown(movies, self.server, manifest, storing, bar.update)
                is_first = not manifest.has_posters()
                return run(_fetch(unknown, storing, self.server, bar.update, is_first))


def _unknown(
    movies: MovieFile,
    server: ImageServer,
    manifest: Manifest,
    storing: Storing,
    advance: Callable[[int], object],
) -> Iterator[str]:
    """Yields, once each, the poster paths that have to be asked for; advances for other movies."""
    for start in range(0, len(movies), _LOOKED_UP):
        chosen = [*movies.range(start, min(start + _LOOKED_UP, len(movies)))]
        located = manifest.locate_all({server.asked_for(m) for m in chosen if m.poster_path})
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
    server: ImageServer,
    advance: Callable[[], object],
    is_first: bool,
) -> int:
    first: list[str] = []  # Statuses of the first answers ever.
    async with http_client.open_client(server.config) as client:

        async def work() -> None:
            for poster_path in poster_paths:
                answer = await client.poster(poster_path)
                storing.put(poster_path, answer)
                advance()
                if is_first and len(first) < _FIRST:
                    first.append(answer.status)
                    if len(first) == _FIRST:
                        server.require_some(first, poster_path)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(server.config.concurrency):
                    tasks.create_task(work())
        except* UserError as errors:
            raise errors.exceptions[0] from None
        return client.num_requests


def server_config(config: PrepareConfig) -> FetchConfig:
    """The part of a preparation's config that is about the image server."""
    base, width = split_base(str(config.posters)) if config.posters is not None else ("", "")
    width = width or config.width
    widths = widths_by_preference(width)
    if config.fallback_widths is not None:
        widths = tuple(dict.fromkeys((width, *config.fallback_widths)))
    reach = {None: None, "public": None, "any": web_addresses.ANYWHERE}[config.fetch_posters]
    return FetchConfig(
        base=base,
        reach=reach,
        widths=widths,
        concurrency=config.concurrency,
        rate=config.rate,
        tries=config.tries,
        timeout=config.timeout,
        backoff=config.backoff,
    )
