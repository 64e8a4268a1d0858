"""Fetching from a server that fails in every way."""

import asyncio
import collections
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web

from data_prep.options import PrepareConfig
from data_prep.posters import http_answer, http_client
from data_prep.posters.fetch import Fetch, ImageServer, server_config
from data_prep.workspace.movie_file import Movie, open_writer
from data_prep.workspace.stages import Workspace
from mmgenre.errors import UserError
from tests import movie_files
from tests.poster_server import PosterServer, serve

REPOSITORY = Path(__file__).resolve().parents[2]


def _workspace(folder: Path, paths) -> Workspace:
    workspace = Workspace(folder)
    with open_writer(workspace.path) as writer:
        for number, path in enumerate(paths):
            writer.write(Movie(number, "", "t", "o", (0,), path))
    return workspace


def _fetch(workspace, base, ask_again=False, fallback=(), **options):
    """Fetches; returns (requests, what became of a poster path)."""
    options = {"backoff": 0.01, "timeout": 1.0, "tries": 8} | options
    config = PrepareConfig("", base, "", width="w154", fallback_widths=fallback, **options)
    server = ImageServer(server_config(config))
    requests = workspace.do(Fetch(server, ask_again)).requests
    return requests, server.open_manifest(workspace.path).locate


def _one(tmp_path, answer, **options):
    """Fetches one poster from a server that answers with `answer`; returns (status, requests)."""
    (tmp_path / "w154").mkdir()
    (tmp_path / "w154" / "other.jpg").write_bytes(movie_files.jpeg(1))
    with (
        serve(PosterServer(tmp_path, special={"/w154/x.jpg": answer})) as server,
        _workspace(tmp_path / "work", ["/x.jpg"]) as workspace,
    ):
        requests, locate = _fetch(workspace, server.base, **options)
    path, status = locate("/x.jpg")
    return status or Path(path).read_bytes(), requests


@pytest.mark.parametrize(
    "status, body, expected, requests",
    [
        (404, b"", "missing: HTTP 404", 1),
        (410, b"", "missing: HTTP 404", 1),
        (403, b"", "gave up: HTTP 403", 1),
        (500, b"", "gave up: HTTP 500", 3),
        (200, b"", "corrupt: empty file", 3),
        (200, b"<!doctype html><p>hello", "corrupt: not an image: a web page", 3),
        (200, b'{"status": 34}', "corrupt: not an image: JSON", 3),
        (200, movie_files.jpeg(1)[:-200], "corrupt: truncated image", 3),
        (200, movie_files.jpeg(1) + b"\0" * 99, movie_files.jpeg(1) + b"\0" * 99, 1),
    ],
)
def test_answers(tmp_path, status, body, expected, requests):
    async def answer(request):
        return web.Response(status=status, body=body)

    assert _one(tmp_path, answer, tries=3) == (expected, requests)


def test_too_large_is_refused_with_and_without_content_length(tmp_path, monkeypatch):
    monkeypatch.setattr("mmgenre.inputs.poster_decoder.MAX_BYTES", 1000)

    async def known(request):
        return web.Response(body=b"\xff\xd8\xff" + b"0" * 2000)

    async def streamed(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(20):
            await response.write(b"\xff\xd8\xff" + b"0" * 200)
        return response

    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    for folder, answer in (("1", known), ("2", streamed)):
        status, requests = _one(tmp_path / folder, answer)
        assert status.startswith("corrupt: too large") and requests == 1


def test_an_answer_that_never_ends_is_given_up(tmp_path):
    async def stall(request):
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        await response.write(movie_files.jpeg(1)[:100])
        await asyncio.sleep(60)
        return response

    assert _one(tmp_path, stall, tries=2, timeout=0.2) == ("gave up: timed out", 2)


def test_who_cancels_a_request_is_obeyed(tmp_path):
    async def stall(request):
        await asyncio.sleep(60)
        return web.Response()

    async def ask(base):
        config = http_client.FetchConfig(base, ("w154",), timeout=60)
        async with http_client.open_client(config) as client, asyncio.timeout(0.3):
            await client.poster("/x.jpg")

    with (
        serve(PosterServer(tmp_path, special={"/w154/x.jpg": stall})) as server,
        pytest.raises(TimeoutError),
    ):
        asyncio.run(ask(server.base))


def test_redirects_lead_to_http_only(tmp_path):
    async def to_file(request):
        return web.Response(status=302, headers={"Location": "file:///etc/hostname"})

    async def to_other(request):
        return web.Response(status=302, headers={"Location": "/t/p/w154/other.jpg"})

    async def in_circles(request):
        return web.Response(status=302, headers={"Location": request.path})

    for name in "123":
        (tmp_path / name).mkdir()
    assert _one(tmp_path / "1", to_file)[0].startswith("refused: redirected")
    assert _one(tmp_path / "2", to_other)[0] == movie_files.jpeg(1)
    assert _one(tmp_path / "3", in_circles)[0].startswith("refused: too many redirects")


def test_retry_after_is_honoured(tmp_path):
    times = []

    async def answer(request):
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.Response(body=movie_files.jpeg(1))

    assert _one(tmp_path, answer)[0] == movie_files.jpeg(1)
    assert times[1] - times[0] >= 1.0


def test_a_server_that_asks_for_too_much_patience_is_asked_another_day(tmp_path):
    async def answer(request):
        return web.Response(status=503, headers={"Retry-After": "9999"})

    status, requests = _one(tmp_path, answer)
    assert status == "gave up: HTTP 503, asked to wait 9,999 s" and requests == 1


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("3", 3),
        ("", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("²", 0),
        ("٣", 0),
        ("9" * 5_000, math.inf),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", 0),
        ("Wed, 21 Oct 1 07:28:00 +9999", 0),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999", 0),
        (", , , ::", 0),
        ("-1", 0),
        ("1e3", 0),
    ],
)
def test_retry_after_header(value, seconds):
    assert http_answer.retry_after(value) == seconds


def test_other_widths_are_tried_and_missing_ones_are_remembered(tmp_path):
    for width, numbers in (("w154", [1]), ("w342", [1, 2]), ("w92", [3])):
        movie_files.write_posters(tmp_path / "served" / width, numbers)
    paths = [f"/poster{n}.jpg" for n in (1, 2, 3, 4, 4)]
    with (
        serve(PosterServer(tmp_path / "served")) as server,
        _workspace(tmp_path / "work", paths) as workspace,
    ):
        requests, locate = _fetch(workspace, server.base, fallback=None)
        assert server.log.requests["/w154/poster4.jpg"] == 1
        for number, width in ((1, "w154"), (2, "w342"), (3, "w92")):
            assert Path(locate(f"/poster{number}.jpg")[0]).parent.name == width
        assert locate("/poster4.jpg") == ("", "missing: HTTP 404")
        assert requests == 1 + 3 + 7 + 7  # w154, w185, w342; and all seven widths, twice.
        assert _fetch(workspace, server.base, fallback=None)[0] == 0
        assert _fetch(workspace, server.base, fallback=None, ask_again=True)[0] == 7
        Path(locate("/poster1.jpg")[0]).write_bytes(b"")  # Not what was stored.
        assert _fetch(workspace, server.base, fallback=None)[0] == 1


def test_a_server_out_of_reach_is_an_error(tmp_path):
    with (
        _workspace(tmp_path / "work", [f"/{n}.jpg" for n in range(200)]) as workspace,
        pytest.raises(UserError, match="cannot be reached"),
    ):
        _fetch(workspace, "http://127.0.0.1:9/t/p", concurrency=8)


def test_the_rate_is_limited(tmp_path):
    movie_files.write_posters(tmp_path / "served" / "w154", range(11))
    with (
        serve(PosterServer(tmp_path / "served")) as server,
        _workspace(tmp_path / "work", [f"/poster{n}.jpg" for n in range(11)]) as workspace,
    ):
        start = time.monotonic()
        assert _fetch(workspace, server.base, rate=20.0)[0] == 11
        assert time.monotonic() - start >= 0.5


def _command(metadata, server, out):
    return [
        *(sys.executable, "-m", "data_prep.prepare", "--metadata", str(metadata)),
        *("--posters", server.base, "--out", str(out), "--progress", "none"),
        *("--backoff", "0.02", "--timeout", "1", "--tries", "10", "--concurrency", "24"),
        *("--fallback-widths", "w342"),
    ]


def _run_with_faults(tmp_path, num_posters, num_kills):
    """Prepares from a faulty server, killed on the way; returns the server and the manifest."""
    gone, wider_only = range(1, num_posters, 50), range(2, num_posters, 50)
    served = tmp_path / "served"
    numbers = set(range(num_posters)) - set(gone)
    movie_files.write_posters(served / "w154", numbers - set(wider_only))
    movie_files.write_posters(served / "w342", wider_only)
    rows = [movie_files.row(n) for n in range(num_posters)]
    metadata = movie_files.write_csv(tmp_path / "m.csv", rows)
    out = tmp_path / "out"
    images = out / ".work" / "images"
    with serve(PosterServer(served, fault_share=0.2, stall=3.0, retry_after="0")) as server:
        stored: collections.Counter[str] = collections.Counter()
        for kill in range(1, num_kills + 1):
            process = subprocess.Popen(_command(metadata, server, out), cwd=REPOSITORY)
            while len(list(images.glob("*/w*/*.jpg"))) < kill * len(numbers) // (num_kills + 1):
                assert process.poll() is None
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.3)  # Until the server has noticed.
            for path in images.glob("*/w*/*.jpg"):
                stored[f"/{path.parent.name}/{path.name}"] += 1
            asked_before = dict(server.log.requests)
            was_stored = set(stored)
            if kill == num_kills:
                break
        subprocess.run(_command(metadata, server, out), cwd=REPOSITORY, check=True)
        for path in was_stored:
            assert server.log.requests[path] == asked_before[path], "fetched twice"
    return server, numbers, set(gone), out


def _check_accounts(server, numbers, gone, out):
    import json

    audit = json.loads((out / "audit.json").read_text())
    assert audit["posters"]["found"] == len(numbers)
    assert audit["posters"]["without"] == {"missing: HTTP 404": len(gone)}
    assert sum(server.log.faults.values()) > 0.15 * sum(server.log.requests.values())
    stored = {path.stem for path in (out / ".work/images").glob("*/w*/*.jpg")}
    assert stored == {f"poster{n}" for n in numbers}


def test_faults_and_a_kill(tmp_path):
    server, numbers, gone, out = _run_with_faults(tmp_path, 150, 1)
    _check_accounts(server, numbers, gone, out)


@pytest.mark.slow
def test_2000_posters_with_faults_and_three_kills(tmp_path):
    server, numbers, gone, out = _run_with_faults(tmp_path, 2000, 3)
    _check_accounts(server, numbers, gone, out)
    assert set(server.log.faults) == set(server.faults)
