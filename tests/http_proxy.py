"""A real HTTP proxy on loopback: absolute addresses, and CONNECT."""

import base64
import contextlib
import re
import socket
import threading
from collections.abc import Iterator


class HttpProxy:
    """Passes requests on, and keeps a list of them.

    Attributes:
      address: of the proxy, without user and password.
      requests: the first line of each.
      refused: how many showed no password, or a wrong one.
    """

    def __init__(self, password: str = "", hosts: dict[str, str] | None = None):
        self.requests: list[str] = []
        self.refused = 0
        self._password = base64.b64encode(password.encode()).decode()
        self._hosts = hosts or {}
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                block = client.recv(1 << 16)
                if not block:
                    return
                head += block
            text = head.decode("latin-1")
            if self._password and f"Basic {self._password}" not in text:
                self.refused += 1
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Proxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            self.requests.append(text.partition("\r\n")[0])
            method, target, _ = self.requests[-1].split(" ", 2)
            place, path = re.fullmatch(r"(?:http://)?([^/]*)(/.*)?", target).groups()
            host, _, port = place.partition(":")
            host = self._hosts.get(host, host)
            with socket.create_connection((host, int(port or 80)), timeout=10) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    lines = re.sub(r"(?im)^(proxy-|connection:).*\r\n", "", text).split("\r\n")
                    lines[0] = f"{method} {path} HTTP/1.1"
                    lines.insert(1, "Connection: close")
                    server.sendall("\r\n".join(lines).encode("latin-1"))
                back = threading.Thread(target=_pass_on, args=(client, server), daemon=True)
                back.start()
                _pass_on(server, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(1 << 16):
            target.sendall(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(password: str = "", hosts: dict[str, str] | None = None) -> Iterator[HttpProxy]:
    """Runs a proxy.

    Args:
      password: "user:password" that it asks for; "" asks for none.
      hosts: names that it alone knows, and their addresses.
    """
    server = HttpProxy(password, hosts)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)
