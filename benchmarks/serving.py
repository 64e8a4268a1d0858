"""The prediction server under load: requests per second and latencies, beside the bare predictor.

    python -m benchmarks.serving --run runs/model2 --posters data/posters --json serving.json
    python -m benchmarks.serving --run runs/model2 --requests 100000 --json memory.json

The first one asks with a poster and an overview, from 1, 8 and 64 clients that each wait for their
answer before they ask again, and asks the predictor itself in this process. All take turns in each
round; figures are medians of rounds. The second one sends so many small requests (an overview) and
tells the server's resident memory on the way.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import numpy as np
from tabulate import tabulate

from benchmarks.machine import describe_machine
from benchmarks.prediction import OVERVIEW
from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command

_CLIENTS: Final = (1, 8, 64)
_POSTERS: Final = 64
_LISTS: Final = (1, 64)
"""Movies that the bare predictor is asked about at once."""

_CHECKS: Final = 10
"""How often memory is read."""


@contextlib.contextmanager
def served(run: str, options: list[str]) -> Iterator[str]:
    """Serves a run with the real command; yields its address, such as 127.0.0.1:8000."""
    command = [sys.executable, "-m", "mmgenre.serve", "--run", run, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://(127\.0\.0\.1:\d+)", process.stdout.readline())
            if found is None:
                raise UserError("the server did not start; what it says stands above")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)


def form_request(poster: bytes, overview: str) -> bytes:
    """Returns a request with a form, as it goes over the wire."""
    edge = b"--------benchmark"
    body = b"".join(
        (
            b"--"
            + edge
            + b'\r\nContent-Disposition: form-data; name="poster"; filename="p"\r\n\r\n',
            poster,
            b"\r\n--" + edge + b'\r\nContent-Disposition: form-data; name="overview"\r\n\r\n',
            overview.encode(),
            b"\r\n--" + edge + b"--\r\n",
        )
    )
    return _request(b"multipart/form-data; boundary=" + edge, body)


def json_request(overview: str) -> bytes:
    """Returns a request with a list of one movie that has no poster."""
    body = json.dumps({"movies": [{"overview": overview}]}).encode()
    return _request(b"application/json", body)


def _request(kind: bytes, body: bytes) -> bytes:
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    return head % (kind, len(body)) + body


async def ask(
    address: str, requests: list[bytes], clients: int, *, seconds: float = np.inf, count: int = 0
) -> np.ndarray:
    """Asks from so many clients, for so long or until there were so many; returns the seconds each.

    Raises:
      UserError: a request was not answered with 200.
    """
    until = time.perf_counter() + seconds
    left = itertools.count(1)
    taken: list[float] = []

    async def client(number: int) -> None:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for request in itertools.cycle(requests[number:] + requests[:number]):
            started = time.perf_counter()
            if started > until or (count and next(left) > count):
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            if not head.startswith(b"HTTP/1.1 200"):
                raise UserError(f"the server answered {head.split(maxsplit=2)[1]!r}: {body!r}")
            taken.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client(number % len(requests)) for number in range(clients)))
    return np.asarray(taken)


def measure(
    run: str, posters: list[bytes], rounds: int, seconds: float, options: list[str]
) -> dict[str, Any]:
    """Returns {contestant: {"per_second", "p50_ms", "p99_ms"}}, medians of rounds."""
    from mmgenre.prediction.predictor import GenrePredictor

    words = OVERVIEW.split()
    overviews = [" ".join(words[: 20 + number % 40]) for number in range(len(posters))]
    requests = [form_request(p, o) for p, o in zip(posters, overviews, strict=True)]
    predictor = GenrePredictor.load(run)
    for size in _LISTS:  # To be warm: each size and each length is compiled for.
        for overview in overviews:
            predictor.predict(posters[:1] * size, [overview] * size)
    found: dict[str, list[tuple[float, ...]]] = {}

    def note(name: str, taken: np.ndarray, movies: int, wall: float) -> None:
        p50, p99 = 1000 * np.percentile(taken, (50, 99))
        found.setdefault(name, []).append((len(taken) * movies / wall, p50, p99))

    with served(run, options) as address:
        for clients in _CLIENTS:  # To be warm.
            asyncio.run(ask(address, requests, clients, seconds=1.0))
        for _ in range(rounds):
            for clients in _CLIENTS:
                started = time.perf_counter()
                taken = asyncio.run(ask(address, requests, clients, seconds=seconds))
                note(f"server, {clients} clients", taken, 1, time.perf_counter() - started)
            for size in _LISTS:
                started, times = time.perf_counter(), []
                while (now := time.perf_counter()) < started + seconds:
                    predictor.predict((posters * size)[:size], (overviews * size)[:size])
                    times.append(time.perf_counter() - now)
                note(
                    f"predictor, lists of {size}", np.asarray(times), size,
                    time.perf_counter() - started,
                )  # fmt: skip
    names = ("per_second", "p50_ms", "p99_ms")
    return {
        name: dict(zip(names, np.median(values, axis=0).tolist(), strict=True))
        for name, values in found.items()
    }


def measure_memory(run: str, count: int, options: list[str]) -> list[dict[str, float]]:
    """Returns the server's resident MiB after parts of `count` requests, from 8 clients."""
    words = OVERVIEW.split()
    requests = [json_request(" ".join(words[: 1 + number % 50])) for number in range(997)]
    rows = []
    with served(run, options) as address:
        asyncio.run(ask(address, requests, 8, count=500))  # To be warm.
        started = time.perf_counter()
        for part in range(_CHECKS + 1):
            if part:
                asyncio.run(ask(address, requests, 8, count=count // _CHECKS))
            rows.append(
                {
                    "requests": part * (count // _CHECKS),
                    "seconds": round(time.perf_counter() - started, 1),
                    "resident_mib": _resident_mib(address),
                }
            )
    return rows


def _resident_mib(address: str) -> float:
    with urlopen(f"http://{address}/metrics") as answer:
        found = re.search(rb"(?m)^process_resident_memory_bytes (\S+)", answer.read())
    return round(float(found[1]) / 2**20, 1) if found else np.nan


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, help="folder of a run")
    parser.add_argument("--posters", type=Path, help="folder of image files, for the load")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each part of a round")
    parser.add_argument("--requests", type=int, help="tell memory over so many small requests")
    parser.add_argument("--server", default="", help="options of the server, in one argument")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    logs.quiet_libraries()
    machine = describe_machine()
    options = args.server.split()
    if args.requests is not None:
        rows = measure_memory(args.run, args.requests, options)
        result: dict[str, Any] = {"machine": machine, "memory": rows}
        print(tabulate(rows, headers="keys"))
    else:
        if args.posters is None:
            raise UserError("no posters to ask with; add --posters FOLDER")
        files = sorted(path for path in args.posters.iterdir() if path.is_file())[:_POSTERS]
        posters = [path.read_bytes() for path in files]
        load = measure(args.run, posters, args.rounds, args.seconds, options)
        result = {"machine": machine, "load": load}
        headers = ["", "movies/s", "p50 ms", "p99 ms"]
        print(tabulate([[n, *v.values()] for n, v in load.items()], headers, floatfmt=".1f"))
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_command(main)
