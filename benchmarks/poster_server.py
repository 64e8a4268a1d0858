"""Serves a folder of posters from memory, for `benchmarks.preparation`.

    python -m benchmarks.poster_server <folder> <port>

Answers by hand, since what a server costs is taken from the cores of the client that is measured;
with aiohttp's server, of 0.08 ms a request, two cores were full and the client waited.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

ROOT: Final = "/t/p"
"""The path of a poster is `/t/p/<width>/<name>`, as on the image server."""


def answer(status: str, body: bytes) -> bytes:
    """Returns a whole HTTP/1.1 answer, after which the connection stays open."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: dict[bytes, bytes]):
        """Takes the answers by path; another path is answered with 404."""
        self._answers = answers
        self._missing = answer("404 Not Found", b"")
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection's other end."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each whole request; their headers and bodies do not matter."""
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.split(b" ", 2)[1]
            self._transport.write(self._answers.get(path, self._missing))


async def serve(folder: Path, port: int) -> None:
    """Reads the folder, says "ready" when it listens, and answers until it is killed."""
    answers = {
        f"{ROOT}/{width.name}/{path.name}".encode(): answer("200 OK", path.read_bytes())
        for width in folder.iterdir()
        for path in width.iterdir()
    }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(answers), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
