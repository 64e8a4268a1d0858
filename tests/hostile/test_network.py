"""Servers, addresses and paths of strangers: each costs one poster, in bounded time and memory.

The real commands ask a server on loopback that answers each poster in another bad way, and good
posters in between. All that is random is seeded.
"""

import json
import random
import socket
import sqlite3
from pathlib import Path

from tests import movie_files
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
    "to a name that does not exist": to("http://no-such-host.invalid/x.jpg"),
    "to the metadata of a cloud": to("http://169.254.169.254/latest/meta-data/"),
    "to a private network": to("http://192.168.0.1/x.jpg"),
    "to a private network, hidden": to("http://[::ffff:10.0.0.1]/x.jpg"),
    "to blanks in a path": to("/in a circle"),
}
"""What a server answers with, by a name for it."""

LOST = ("gave up: ", "corrupt: ", "refused: ", "missing: ")


def test_each_hostile_answer_costs_one_poster(tmp_path):
    names = {f"/bad{number}.jpg": name for number, name in enumerate(ANSWERS)}

    def behave(connection: socket.socket, path: str) -> None:
        poster = path.removeprefix("/w154")
        good = answer(GOOD) if "good" in poster else answer(b"", "404 Not Found")
        connection.sendall(ANSWERS[names[poster]] if poster in names else good)

    paths = [path for bad in names for path in (bad, bad.replace("bad", "good"))]
    with serve_raw(behave) as server:
        found, audit, _ = prepare(tmp_path, server.base, paths)
    print(json.dumps({names[p]: found[p] for p in paths if p in names}, indent=1))
    for path in paths:
        status = found[path]
        if path in names and names[path] not in HARMLESS:
            assert status.startswith(LOST), (names[path], status)
        else:
            assert status == "", (names.get(path), status)
    assert audit["posters"]["found"] == sum(status == "" for status in found.values())


HARMLESS = {"a broken cookie", "an encoding nobody knows"}


def prepare(
    folder: Path, base: str, paths: list[str], *options: str, seconds: float = 60
) -> tuple[dict[str, str], dict, str]:
    """Prepares movies with these posters from a server; runs it again, which asks nobody.

    Returns:
      What became of each poster ("" where it was had), the audit, and what the command wrote.
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
    with sqlite3.connect(table) as connection:
        found = dict(connection.execute("SELECT path, status FROM posters"))
    connection.close()
    return found, json.loads((folder / "out" / "audit.json").read_text()), done.stderr
