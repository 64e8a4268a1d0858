"""A server on loopback that answers with any bytes at all, at any pace."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Behave = Callable[[socket.socket, str], None]
"""Called with a connection and the path that was asked for; the connection is closed after it."""


class RawServer:
    """Reads one request's head a connection, then leaves the rest to `behave`.

    Attributes:
      base: its address.
      requests: the first line of each request.
      heads: each request's whole head.
    """

    def __init__(self, behave: Behave, host: str, tls: ssl.SSLContext | None):
        self.requests: list[str] = []
        self.heads: list[str] = []
        self._behave = behave
        self._tls = tls
        self._server = socket.create_server((host, 0), backlog=200)
        self._connections: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        self.base = f"http://{host}:{self.port}"

    def run(self) -> None:
        """Answers until it is closed."""
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                stack.enter_context(connection)
            head = b""
            while b"\r\n\r\n" not in head:
                block = connection.recv(1 << 16)
                if not block:
                    return
                head += block
            text = head.decode("latin-1")
            self.heads.append(text)
            self.requests.append(text.partition("\r\n")[0])
            target = re.sub(r"^http://[^/]*", "", text.split(" ")[1])
            self._behave(connection, target)
            if self._tls is not None:
                connection.unwrap()


@contextlib.contextmanager
def serve_raw(
    behave: Behave, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[RawServer]:
    """Runs a server in threads of its own."""
    server = RawServer(behave, host, tls)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer, after which the connection closes."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body
