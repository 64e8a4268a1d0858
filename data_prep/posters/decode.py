"""Stage 3, decode: poster files to the pixels that the model sees, on all cores.

Results are stored in parts of `pixel_parts.PART` movies, each by one process. A part is done again
only when a file that it was made from has changed, so a killed run loses the parts under way at
most.
"""

import collections
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from etils import epath

from data_prep.posters import placeholders
from data_prep.posters.poster_source import Locate, PosterSource
from data_prep.workspace import pixel_parts, workers
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, make_folder
from mmgenre.inputs import poster_decoder
from mmgenre.machine import files, limits

_VERSION: Final = 2

_MEMORY: Final = 1 << 29
"""Bytes that a decoding process may take, beside what it has at its start."""

_SECONDS: Final = 10.0
"""Processor time that a poster may take of a decoding process."""

MAX_NAMED: Final = 1_000
"""Corrupt posters that are named in the audit."""

_CORRUPT: Final = "corrupt"
_is_limited = False  # Whether this process has called `_limit_process`.


@dataclasses.dataclass(frozen=True)
class PartTask:
    """All that a process needs to decode one part.

    Attributes:
      workspace: folder of the stages' results.
      number: of the part.
      located: for each movie (the poster's file, "") or ("", why there is none).
      key: digest of the files' names, sizes and times.
    """

    workspace: str
    number: int
    located: list[tuple[str, str]]
    key: str


@dataclasses.dataclass(frozen=True)
class PartOutcome:
    """What decoding a part came to.

    Attributes:
      num_movies: of the part.
      beyond_limits: (file, why) of posters that take more than a poster may, or end the decoder.
    """

    num_movies: int
    beyond_limits: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What decoding came to.

    Attributes:
      statuses: how many posters have each status; see `pixel_parts.Part`.
      digest: of all pixels and statuses.
    """

    statuses: dict[str, int]
    digest: str


@dataclasses.dataclass(frozen=True)
class Decode(Stage[Decoded]):
    """Decodes the posters of all movies of the workspace, in parts.

    Attributes:
      source: where the posters are.
      processes: that decode.
    """

    source: PosterSource
    processes: int
    name: ClassVar[str] = "decode"

    def run(self, workspace: Workspace, progress: Progress) -> Decoded:
        """Raises UserError where the source has not one of many posters."""
        folder = make_folder(workspace.path / pixel_parts.FOLDER)
        files.sweep(folder)
        with (
            self.source.opened(workspace.path) as locate,
            MovieFile(workspace.path) as movies,
            progress.bar(self.name, len(movies), "movies") as bar,
            workers.ordered_map(
                decode_part,
                _missing_parts(workspace, movies, locate, bar.update),
                self.processes,
                careful=decode_part_isolated,
                initializer=_limit_process,
            ) as outcomes,
        ):
            for outcome in outcomes:
                for path, reason in outcome.beyond_limits:
                    progress.note(f"{self.name}: {path} counts as {reason}")
                bar.update(outcome.num_movies)
            num_movies = len(movies)
        _remove_further_parts(folder, pixel_parts.num_parts(num_movies))
        return summary(workspace, num_movies, progress)


def summary(workspace: Workspace, num_movies: int, progress: Progress) -> Decoded:
    """Marks the placeholders, and returns what the parts of all movies say."""
    placeholders.mark(workspace, num_movies, progress)
    statuses: collections.Counter[str] = collections.Counter()
    all_digests = hashlib.sha256()
    for number in range(pixel_parts.num_parts(num_movies)):
        part = pixel_parts.require_part(workspace.path, number)
        statuses.update(part.status)
        all_digests.update(part.digest.tobytes() + "\n".join(part.status).encode())
    return Decoded(dict(statuses), all_digests.hexdigest())


def corrupt_posters(workspace: Workspace, num_movies: int) -> dict[str, str]:
    """Returns why each of the first `MAX_NAMED` corrupt posters is that, by its poster path."""
    found: dict[str, str] = {}
    with MovieFile(workspace.path) as movies:
        for number in range(pixel_parts.num_parts(num_movies)):
            part = pixel_parts.require_part(workspace.path, number)
            numbers = pixel_parts.part_range(number, num_movies)
            for movie, status in zip(numbers, part.status, strict=True):
                if status.startswith(_CORRUPT):
                    found[movies[movie].poster_path] = status
                    if len(found) == MAX_NAMED:
                        return found
    return found


def decode_part(task: PartTask) -> PartOutcome:
    """Decodes and stores one part."""
    return _decode_part(task, isolated=False)


def decode_part_isolated(task: PartTask) -> PartOutcome:
    """As `decode_part`, but each poster in the process with limits, a fifth slower.

    A file that ends a decoder ends that process and no other, and is known by it.
    """
    return _decode_part(task, isolated=True)


def _decode_part(task: PartTask, *, isolated: bool) -> PartOutcome:
    beyond_limits: list[tuple[str, str]] = []

    def results() -> Iterator[bytes | str]:
        for path, reason in task.located:
            try:
                yield _decode_file(path, isolated=isolated) if path else reason
            except poster_decoder.LimitError as error:
                beyond_limits.append((path, f"{_CORRUPT}: {error}"))
                yield beyond_limits[-1][1]

    pixel_parts.write_part(task.workspace, task.number, task.key, results())
    return PartOutcome(len(task.located), tuple(beyond_limits))


def decode_file(path: str) -> bytes | str:
    """Returns the pixels of a poster file, or the reason why it has none.

    Decoded in the process with limits: this one may have something to lose.
    """
    try:
        return _decode_file(path, isolated=True)
    except poster_decoder.LimitError as error:
        return f"{_CORRUPT}: {error}"


def decode_bytes(data: bytes) -> bytes | str:
    """As `decode_file`, of an image file's bytes."""
    try:
        return _decode_bytes(data, isolated=True)
    except poster_decoder.LimitError as error:
        return f"{_CORRUPT}: {error}"


def _decode_file(path: str, *, isolated: bool) -> bytes | str:
    try:
        # Unbuffered, and told the size: room for the largest file allowed would be made otherwise.
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(min(size, poster_decoder.MAX_BYTES) + 1)
    except OSError as error:
        return f"unreadable: {error.strerror or type(error).__name__}"
    return _decode_bytes(data, isolated=isolated)


def _decode_bytes(data: bytes, *, isolated: bool) -> bytes | str:
    try:
        with limits.deadline(_SECONDS) if _is_limited else contextlib.nullcontext():
            return poster_decoder.decode_poster(data, isolated=isolated).tobytes()
    except poster_decoder.LimitError:
        raise
    except poster_decoder.PosterError as error:
        return f"{_CORRUPT}: {error}"


def _limit_process() -> None:
    """Limits this process, which decodes and has nothing to lose."""
    global _is_limited
    limits.limit_memory(_MEMORY)
    _is_limited = True


def _missing_parts(
    workspace: Workspace, movies: MovieFile, locate: Locate, advance: Callable[[int], object]
) -> Iterator[PartTask]:
    """Yields the parts that are not there as their files are now; advances for the others."""
    for number in range(pixel_parts.num_parts(len(movies))):
        numbers = pixel_parts.part_range(number, len(movies))
        located = [locate(movie) for movie in movies.range(numbers.start, numbers.stop)]
        states = [_state(path) if path else reason for path, reason in located]
        key = digest(Decode.name, _VERSION, states)
        part = pixel_parts.read_part(workspace.path, number)
        if part is not None and part.key == key:
            advance(len(located))
        else:
            yield PartTask(str(workspace.path), number, located, key)


def _state(path: str) -> tuple[str, int, int]:
    """Changes when the file is replaced."""
    try:
        stat = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, stat.st_size, stat.st_mtime_ns


def _remove_further_parts(folder: epath.Path, num_parts: int) -> None:
    for path in folder.iterdir():
        number = pixel_parts.part_of(path.name)
        if number is not None and number >= num_parts:
            path.unlink(missing_ok=True)
