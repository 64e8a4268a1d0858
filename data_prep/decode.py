"""Stage 3, decode: poster files to the pixels that the model sees, on all cores.

Results are stored in parts of `images.PART` movies. A part is done again only when a file that it
was made from has changed, so a killed run loses the part under way at most.
"""

import collections
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from data_prep import images, movies, storage, workers
from data_prep.progress import Progress
from mmgenre import posters

STAGE: Final = "decode"
_VERSION: Final = 1
_CHUNK: Final = 32  # Posters that a process decodes at a time.
_INLINE: Final = 500  # Posters that are decoded sooner than a pool of processes starts.

Locate = Callable[[str], tuple[str, str]]
"""From a poster path to (the poster's file, "") or ("", why there is none)."""


def decode(
    workspace: storage.Workspace, locate: Locate, processes: int, progress: Progress
) -> dict[str, int]:
    """Decodes the posters of all movies of the workspace.

    Args:
      workspace: holds the movies; gets the pixels.
      locate: finds a movie's poster file.
      processes: that decode.
      progress: shown while decoding.

    Returns:
      How many posters had each status.
    """
    (workspace.path / images.FOLDER).mkdir(exist_ok=True)
    counts: collections.Counter[str] = collections.Counter()
    with (
        movies.MovieFile(workspace.path) as movie_file,
        progress.bar(STAGE, len(movie_file), "movies") as bar,
    ):
        for part in range(images.num_parts(len(movie_file))):
            numbers = images.part_range(part, len(movie_file))
            located = [locate(m.poster_path) for m in movie_file.range(numbers.start, numbers.stop)]
            key = _key(located)
            facts = images.read_part(workspace.path, part)
            if facts is None or facts.key != key:
                facts = _decode_part(workspace, part, located, key, processes, bar.update)
            else:
                bar.update(len(numbers))
            counts.update(facts.status)
    _remove_further_parts(workspace, images.num_parts(len(movie_file)))
    return dict(counts)


def fingerprint(workspace: storage.Workspace) -> str:
    """Changes when the pixels or the status of any movie do."""
    digest = hashlib.sha256()
    for path in sorted((workspace.path / images.FOLDER).glob("*.npz")):
        part = images.read_part(workspace.path, int(path.stem))
        if part is not None:
            digest.update(part.digest.tobytes() + "\n".join(part.status).encode())
    return digest.hexdigest()


def decode_file(path: str) -> bytes | str:
    """Returns the pixels of a poster file, or the reason why it has none."""
    try:
        if os.path.getsize(path) > posters.MAX_BYTES:
            return f"corrupt: too large: more than {posters.MAX_BYTES:,} bytes"
        with open(path, "rb") as file:
            return posters.decode_poster(file.read()).tobytes()
    except posters.PosterError as error:
        return f"corrupt: {error}"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _decode_files(paths: list[str]) -> list[bytes | str]:
    return [decode_file(path) for path in paths]


def _key(located: list[tuple[str, str]]) -> str:
    """Changes when a poster of the part appears, disappears or is replaced."""
    states = []
    for path, reason in located:
        if path:
            stat = os.stat(path)
            states.append(f"{path}\n{stat.st_size}\n{stat.st_mtime_ns}")
        else:
            states.append(reason)
    return storage.digest(STAGE, _VERSION, states)


def _decode_part(
    workspace: storage.Workspace,
    number: int,
    located: list[tuple[str, str]],
    key: str,
    processes: int,
    advance: Callable[[int], object],
) -> images.Part:
    paths = [path for path, _ in located if path]
    chunks = (paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK))
    pool = processes if len(paths) > _INLINE else 1
    results: Iterator[bytes | str] = itertools.chain.from_iterable(
        workers.ordered_map(_decode_files, chunks, pool)
    )
    slot = np.full(len(located), -1, np.int32)
    digest = np.zeros(len(located), np.uint64)
    status = []
    num_posters = 0
    with storage.atomic_write(images.pixels_path(workspace.path, number)) as file:
        for place, (path, reason) in enumerate(located):
            result = next(results) if path else reason
            if isinstance(result, bytes):
                file.write(result)
                slot[place] = num_posters
                digest[place] = pixels_digest(result)
                num_posters += 1
                status.append(images.FOUND)
            else:
                status.append(result)
            advance(1)
    part = images.Part(key, slot, digest, tuple(status))
    images.write_facts(workspace.path, number, part)
    return part


def pixels_digest(pixels: bytes) -> int:
    """64 bits that identify a picture; never 0."""
    value = int.from_bytes(hashlib.blake2b(pixels, digest_size=8).digest(), "little")
    return value or 1


def _remove_further_parts(workspace: storage.Workspace, num_parts: int) -> None:
    for path in (workspace.path / images.FOLDER).iterdir():
        if path.stem.isdigit() and int(path.stem) >= num_parts:
            path.unlink(missing_ok=True)
