"""Servers, addresses and paths of strangers: each costs one poster, in bounded time and memory.

The real commands ask a server on loopback that answers each poster in another bad way, and good
posters in between. All that is random is seeded.
"""

import contextlib
import itertools
import json
import random
import re
import socket
import sqlite3
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from data_prep.posters import image_check
from mmgenre.errors import UserError
from mmgenre.inputs import poster_source
from tests import movie_files
from tests.get_poster import by_fetch
from tests.hostile.bounded import run_bounded
from tests.hostile.raw_server import answer, serve_raw

GOOD = movie_files.jpeg(1)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def wait(value: str) -> bytes:
    return answer(b"", "503 Service Unavailable", f"Retry-After: {value}")


def to(location: str) -> bytes:
    return answer(b"", "302 Found", f"Location: {location}")


def one_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n" % (len(data), data)


def noise(seed: int, size: int = 3_000) -> bytes:
    return random.Random(seed).randbytes(size)


ANSWERS = {
    # Retry-After that is no number and no date.
    "superscript two": wait("²"),
    "arabic digits": wait("٣"),
    "a number of 5,000 digits": wait("9" * 5_000),
    "year 99999999999": wait("Wed, 21 Oct 99999999999 07:28:00 GMT"),
    "year 0": wait("Wed, 21 Oct 0000 07:28:00 GMT"),
    "zone of a billion hours": wait("Wed, 21 Oct 2015 07:28:00 +99999999999999"),
    "commas": wait(", , , ::"),
    "negative": wait("-99"),
    "not a number": wait("nan"),
    "surrogates": b"HTTP/1.1 503 x\r\nRetry-After: \xed\xa0\x80\r\nContent-Length: 0\r\n\r\n",
    # Status lines.
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of six digits": b"HTTP/1.1 200200 OK\r\n\r\n",
    "status 999": answer(b"", "999 x"),
    "status 101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 206": answer(GOOD, "206 Partial Content"),
    "status 304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "status 407": answer(b"", "407 Proxy Authentication Required", "Proxy-Authenticate: Basic"),
    "HTTP/0.9": GOOD,
    "HTTP/9.9": b"HTTP/9.9 200 OK\r\n\r\n" + GOOD,
    "nothing": b"",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    **{f"noise {seed}": noise(seed) for seed in range(8)},
    **{f"noise {seed} after the status": OK + noise(seed) for seed in range(8, 16)},
    "a reason of 1 MB": b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n",
    # Headers.
    "a header of 1 MB": OK + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "10,000 headers": OK + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
    "a header without a colon": OK + b"colon\r\n\r\n" + GOOD,
    "a header of NULs": OK + b"X: \0\0\r\n\r\n" + GOOD,
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a broken cookie": answer(GOOD, "200 OK", "Set-Cookie: \x01=;;;=\x7f"),
    # Lengths.
    "length superscript": OK + "Content-Length: ²\r\n\r\n".encode() + GOOD,
    "length negative": OK + b"Content-Length: -5\r\n\r\n" + GOOD,
    "length of 5,000 digits": OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n" + GOOD,
    "length of an exabyte": OK + b"Content-Length: 1000000000000000000\r\n\r\n" + GOOD,
    "length too long by one": OK + b"Content-Length: %d\r\n\r\n%s" % (len(GOOD) + 1, GOOD),
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
    "length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Chunks.
    "a chunk of letters": CHUNKED + b"xyz\r\n" + GOOD,
    "a chunk of minus one": CHUNKED + b"-1\r\n" + GOOD,
    "a chunk of 2^80": CHUNKED + b"1" + b"0" * 20 + b"\r\n" + GOOD,
    "a chunk's extension of 1 MB": CHUNKED + b"1;" + b"x" * 1_000_000 + b"\r\nx\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"%x\r\n%s\r\n" % (len(GOOD), GOOD),
    "10,000 trailers": CHUNKED + one_chunk(b"no") + b"X: y\r\n" * 10_000 + b"\r\n",
    "an encoding nobody knows": OK + b"Transfer-Encoding: x-none\r\n\r\n" + GOOD,
    # Redirects.
    "to an open bracket": to("http://[::1"),
    "to port 99999": to("http://127.0.0.1:99999/"),
    "to port letters": to("http://127.0.0.1:http/"),
    "to no host": to("http:///x.jpg"),
    "to an empty label": to("http://a..b/x.jpg"),
    "to a label of 70 letters": to(f"http://{'a' * 70}.example/"),
    "to a file": to("file:///etc/hostname"),
    "to ftp": to("ftp://127.0.0.1/x.jpg"),
    "to javascript": to("javascript:alert(1)"),
    "to data": to("data:image/jpeg;base64,AAAA"),
    "to blanks": to("http://a b/x.jpg"),
    "to bytes": b"HTTP/1.1 302 x\r\nLocation: \xff\xfe\xed\xa0\x80\r\nContent-Length: 0\r\n\r\n",
    "to nowhere": to(""),
    "again and again": to("/again and again"),
    "to a name that does not exist": to("http://no-such-host.invalid/x.jpg"),
    "to the metadata of a cloud": to("http://169.254.169.254/latest/meta-data/"),
    "to a private network": to("http://192.168.0.1/x.jpg"),
    "to a private network, hidden": to("http://[::ffff:10.0.0.1]/x.jpg"),
    "to blanks in a path": to("/in a circle"),
}
"""What a server answers with, by a name for it."""


def drip(head: bytes, endless: bytes, pause: float):
    """Sends a head, then the same bytes for ever, with a pause between them."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        for byte in itertools.cycle(endless) if pause else itertools.repeat(0):
            connection.sendall(bytes((byte,)) if pause else endless * 100)
            time.sleep(pause)

    return behave


ENDLESS = {
    "silence": lambda connection: connection.recv(1),
    "a status line, a byte at a time": drip(b"HTTP/1.1 200 ", b"x", 0.05),
    "headers, a byte at a time": drip(OK, b"X: y\r\n", 0.05),
    "continues": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "continues, as fast as can be": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0),
    "early hints": drip(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.05),
    "a body, a byte at a time": drip(OK + b"Content-Length: 99999\r\n\r\n", b"\xff", 0.05),
    "a body without a length": drip(OK + b"\r\n", b"\xff", 0.05),
    "a body without an end": drip(OK + b"\r\n", b"\xff" * 10_000, 0),
    "chunks of a byte": drip(CHUNKED, b"1\r\nx\r\n", 0.05),
    "chunks without an end": drip(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n", 0),
    "a size without an end": drip(CHUNKED, b"0", 0.05),
    "trailers, a byte at a time": drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n", 0.05),
    "trailers, as fast as can be": drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n", 0),
    "redirects": lambda connection: connection.sendall(to("/again")),
}
"""What a server does for ever, by a name for it."""

PATHS = [
    "/" + "\u5b57" * 100 + ".jpg",  # 304 bytes.
    "/" + "\U0001f3ac" * 64 + ".jpg",
    "/" + "e\u0301" * 90 + ".jpg",
    "/a.jpg",
    "/a.jpg/x.jpg",
    "/b.jpg/x.jpg",
    "/b.jpg",
    "/deep" * 50 + ".jpg",
]
"""Of posters; some that a disk cannot hold, alone or one beside the other."""

LOST = ("gave up: ", "corrupt: ", "refused: ", "missing: ")
HARMLESS = {"a broken cookie", "an encoding nobody knows"}


def test_each_hostile_answer_costs_one_poster(tmp_path):
    names = {f"/bad{number}.jpg": name for number, name in enumerate(ANSWERS)}

    def behave(connection: socket.socket, path: str) -> None:
        poster = path.removeprefix("/w154")
        good = answer(b"", "404 Not Found")
        if number := re.fullmatch(r"/good(\d+)\.jpg", poster):  # All of them as one would be none.
            good = answer(movie_files.jpeg(int(number[1])))
        connection.sendall(ANSWERS[names[poster]] if poster in names else good)

    paths = [path for bad in names for path in (bad, bad.replace("bad", "good"))]
    with serve_raw(behave) as server:
        found, audit = prepare(tmp_path, server.base, paths)
    for path in paths:
        status = found[path]
        if path in names and names[path] not in HARMLESS:
            assert status.startswith(LOST), (names[path], status)
        else:
            assert status == "", (names.get(path), status)
    assert audit["posters"]["found"] == sum(status == "" for status in found.values())


def test_what_never_ends_is_given_up_by_fetching(tmp_path):
    names = {f"/bad{number}.jpg": name for number, name in enumerate(ENDLESS)}

    def behave(connection: socket.socket, path: str) -> None:
        name = names.get(path.removeprefix("/w154"), "redirects" if path == "/again" else "")
        if name:
            ENDLESS[name](connection)
        else:
            connection.sendall(answer(GOOD))

    good = [f"/good{number}.jpg" for number in range(100)]
    with serve_raw(behave) as server:
        found, _ = prepare(tmp_path, server.base, [*names, *good], "--tries", "1")
    for path, name in names.items():
        assert found[path].startswith(LOST), (name, found[path])
    assert all(found[path] == "" for path in good)


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_given_up_by_prediction(monkeypatch, name):
    monkeypatch.setattr(poster_source, "_DEADLINE", 0.5)
    threads = threading.active_count()
    with serve_raw(lambda connection, path: ENDLESS[name](connection)) as server:
        start = time.monotonic()
        tracemalloc.start()
        with pytest.raises(UserError, match="cannot fetch the poster"):
            poster_source.read_poster(f"{server.base}/x.jpg")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert time.monotonic() - start < 20  # A bound, not a speed: without one it is for ever.
        assert peak < 100 << 20
    deadline = time.monotonic() + 20
    while threading.active_count() > threads:
        assert time.monotonic() < deadline, "a thread stays"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_command_gives_up_what_never_ends(tiny_run):
    """Half a minute a server: the whole deadline."""
    for name in ("headers, a byte at a time", "continues", "trailers, as fast as can be"):
        with serve_raw(lambda connection, path, name=name: ENDLESS[name](connection)) as server:
            arguments = ("--run", tiny_run.path, "--poster", f"{server.base}/x.jpg")
            done = run_bounded("mmgenre.predict", *arguments, seconds=90, gigabytes=16)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.endswith("it took more than 30 seconds"), line


def test_a_path_that_the_disk_cannot_hold_costs_one_poster(tmp_path):
    with serve_raw(lambda connection, path: connection.sendall(answer(GOOD))) as server:
        found, audit = prepare(tmp_path, server.base, [*PATHS, "/good.jpg"], "--concurrency", "1")
        requests = len(server.requests)
        assert prepare(tmp_path, server.base, [*PATHS, "/good.jpg"])[0] == found
        assert len(server.requests) == requests, "what is known is asked for again"
    assert found.pop("/good.jpg") == ""
    assert set(found) == set(PATHS)
    lost = {path: status for path, status in found.items() if status}
    assert all(status.startswith("refused: cannot be stored: ") for status in lost.values()), lost
    assert set(PATHS[:3]) < set(lost)
    assert len(set(PATHS[3:7]) & set(lost)) == 2
    assert audit["posters"]["found"] == len(PATHS) + 1 - len(lost)


def test_pictures_are_not_decoded_in_the_loop(monkeypatch):
    """What has no end mark is decoded to see what it is, and that takes a while."""
    threads = []
    problem = image_check.problem

    def seen(data: bytes) -> str:
        threads.append(threading.current_thread())
        return problem(data)

    monkeypatch.setattr(image_check, "problem", seen)
    for body in (GOOD, GOOD + bytes(99)):
        with serve_raw(lambda connection, path, body=body: connection.sendall(answer(body))) as (
            server
        ):
            assert by_fetch(server.base) == body
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_seeded_changes_of_a_good_answer_cost_one_poster(tmp_path, seed):
    """150 answers with a few bytes changed, removed or put in, some of them sent in pieces."""
    rng = random.Random(seed)
    paths = [f"/x{number}.jpg" for number in range(150)]
    # Each with a picture of its own: one for all would be a placeholder.
    answers = {path: changed(rng, movie_files.jpeg(n)) for n, path in enumerate(paths)}

    def behave(connection: socket.socket, path: str) -> None:
        data = answers.get(path.removeprefix("/w154"), answer(b"", "404 Not Found"))
        cut = len(data) // 3
        connection.sendall(data[:cut])
        time.sleep(0.01)
        connection.sendall(data[cut:])

    with serve_raw(behave) as server:
        found, _ = prepare(tmp_path, server.base, paths, "--tries", "1", seconds=120)
    assert all(status == "" or status.startswith(LOST) for status in found.values()), found
    assert 0 < sum(status == "" for status in found.values()) < len(paths)


def changed(rng: random.Random, good: bytes = GOOD) -> bytes:
    """A good answer, plain or in chunks or a redirect, with a few changes in its head."""
    data = rng.choice((answer(good), CHUNKED + one_chunk(good) + b"\r\n", to("/w154/x0.jpg")))
    end = data.index(b"\r\n\r\n") + 8
    head = bytearray(data[:end])
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(head))
        match rng.randrange(3):
            case 0:
                head[place] = rng.randrange(256)
            case 1:
                del head[place : place + rng.randint(1, 4)]
            case _:
                head[place:place] = rng.randbytes(rng.randint(1, 4))
    return bytes(head) + data[end:]


def prepare(
    folder: Path, base: str, paths: list[str], *options: str, seconds: float = 90
) -> tuple[dict[str, str], dict]:
    """Prepares movies with these posters from a server, by the real command.

    Returns:
      What became of each poster ("" where it was had), and the audit.
    """
    rows = [movie_files.row(n, poster_path=path) for n, path in enumerate(paths, start=1)]
    metadata = movie_files.write_csv(folder / "m.csv", rows)
    arguments = ["--metadata", metadata, "--posters", base, "--out", folder / "out"]
    arguments += ["--fallback-widths", "none", "--tries", "2", "--backoff", "0.01"]
    arguments += ["--timeout", "1", "--progress", "none", "--processes", "1", *options]
    done = run_bounded("data_prep.prepare", *arguments, seconds=seconds)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Traceback" not in done.stderr
    (table,) = (folder / "out/.work/images").glob("*/manifest.sqlite")
    with contextlib.closing(sqlite3.connect(table)) as connection:
        found = dict(connection.execute("SELECT path, status FROM posters"))
    return found, json.loads((folder / "out" / "audit.json").read_text())
