"""Decoding and fetching beside the bare libraries that they are made from."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
from PIL import Image
from tabulate import tabulate

from benchmarks import poster_server
from data_prep.options import PrepareConfig
from data_prep.posters.decode import Decode
from data_prep.posters.fetch import Fetch, ImageServer, server_config
from data_prep.posters.poster_folder import Folder
from data_prep.workspace import pixel_parts, workers
from data_prep.workspace.movie_file import MovieFile, open_writer
from data_prep.workspace.stages import Workspace


@contextlib.contextmanager
def served(folder: Path, port: int = 8791) -> Iterator[str]:
    """Serves a folder in a process of its own; yields the address."""
    command = [sys.executable, "-m", "benchmarks.poster_server", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield f"http://127.0.0.1:{port}{poster_server.ROOT}"
        finally:
            process.kill()


def bare_decode(paths: list[str]) -> int:
    """The least that decodes: Pillow's own draft mode, conversion and filter, and no more."""
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (128, 128))
            np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS))
    return len(paths)


def decode_ratio(
    posters: Path, processes: int | None, repeat: int, prepared: Path
) -> dict[str, float]:
    """Times the decode stage of a prepared sample, from scratch, and the bare loop."""
    processes = processes or workers.num_cores()
    paths = sorted(str(path) for path in posters.iterdir())
    chunks = [paths[start : start + 128] for start in range(0, len(paths), 128)]
    stage = Decode(Folder(posters, "w154"), processes)
    ours, bare = [], []
    with Workspace(prepared / ".work") as workspace:
        for _ in range(repeat):
            start = time.perf_counter()
            with workers.ordered_map(bare_decode, chunks, processes) as decoded:
                assert sum(decoded) == len(paths)
            bare.append(len(paths) / (time.perf_counter() - start))
            for path in (workspace.path / pixel_parts.FOLDER).iterdir():
                path.unlink()
            start = time.perf_counter()
            found = workspace.do(stage).statuses[pixel_parts.FOUND]
            ours.append(found / (time.perf_counter() - start))
    return _ratio(ours, bare)


def fetch_ratio(
    base: str, prepared: Path, concurrency: int, repeat: int, scratch: Path
) -> dict[str, float]:
    """Times the fetch stage into an empty folder, and the bare client on the same addresses."""
    config = PrepareConfig("", base, "", fallback_widths=(), concurrency=concurrency)
    stage = Fetch(ImageServer(server_config(config)))
    with MovieFile(prepared / ".work") as movies:
        kept = [movie for movie in movies if movie.poster_path]
    urls = [f"{base}/w154{path}" for path in dict.fromkeys(m.poster_path for m in kept)]
    ours, bare = [], []
    for number in range(repeat):
        start = time.perf_counter()
        asyncio.run(_bare_fetch(urls, concurrency))
        bare.append(len(urls) / (time.perf_counter() - start))
        with Workspace(scratch / f"fetch{number}") as workspace:
            with open_writer(workspace.path) as writer:
                for movie in kept:
                    writer.write(movie)
            start = time.perf_counter()
            requests = workspace.do(stage).requests
            ours.append(requests / (time.perf_counter() - start))
    return _ratio(ours, bare)


async def _bare_fetch(urls: list[str], concurrency: int) -> None:
    """The least that fetches: as many requests at a time, their bodies read and thrown away."""
    waiting = iter(urls)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for url in waiting:
                async with session.get(url) as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(concurrency)))


def _ratio(ours: list[float], bare: list[float]) -> dict[str, float]:
    """Rates by their medians; the ratio is the median of the ratios of neighbouring runs."""
    return {
        "ours": statistics.median(ours),
        "bare": statistics.median(bare),
        "ratio": statistics.median(a / b for a, b in zip(ours, bare, strict=True)),
    }


def ratio_table(ratios: dict[str, dict[str, float]]) -> str:
    """Rates per second and ratios."""
    rows = [
        [name, f"{r['ours']:,.0f}", f"{r['bare']:,.0f}", f"{r['ratio']:.2f}"]
        for name, r in ratios.items()
    ]
    return tabulate(rows, ["", "ours per s", "bare per s", "ratio"])
