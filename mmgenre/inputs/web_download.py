"""A file from the web within a deadline that holds for everything.

The standard library has a time limit for each read alone: a server that drips headers, says
"continue" for ever or never ends its trailers would hold us for as long as it likes. Here a timer
ends the connection itself, whatever is being waited for. Standard library only.
"""

import contextlib
import http.client
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, Final

from mmgenre.inputs import web_addresses
from mmgenre.inputs.proxies import Proxy, proxy_for
from mmgenre.inputs.web_addresses import Place, Reach

_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CHUNK: Final = 1 << 16
_UNQUOTED: Final = "/%:@!$&'()*+,;=~-._?[]"
_HEADERS: Final = {"User-Agent": "mmgenre", "Accept": "image/*", "Connection": "close"}


class DownloadError(Exception):
    """There is no file; the message says why, in a few words."""


class NotThere(DownloadError):
    """The server says that it has no such file."""


def download(
    address: str, *, max_bytes: int, timeout: float, deadline: float, reach: Reach
) -> bytes:
    """Downloads a file, through the proxy that the environment names, if it names one.

    Args:
      address: http or https.
      max_bytes: of the file.
      timeout: seconds to connect, and to wait for the next bytes.
      deadline: seconds for all, redirects included.
      reach: where the address may lead. A redirect may lead to a public address, or to one of the
        same kind as the address that it comes from.

    Raises:
      DownloadError: it cannot be had within the deadline, is larger, or is not whole.
      web_addresses.Refused: the address is out of reach.
      UserError: the proxy that the environment names is unusable.
    """
    clock = _Clock(timeout, deadline)
    problem: Exception | None = None
    with clock:
        try:
            data = _follow(address, max_bytes, clock, reach)
        except (OSError, ValueError, http.client.HTTPException, DownloadError) as error:
            problem = error
    if clock.has_struck:  # What ended seems whole, or broken, or closed.
        raise DownloadError(f"it took more than {deadline:g} seconds") from problem
    if problem is None:
        return data
    if isinstance(problem, web_addresses.Refused | DownloadError):
        raise problem
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    raise DownloadError(reason) from problem


class _Clock:
    """Ends all connections that it knows of when the deadline is there. A context manager."""

    def __init__(self, timeout: float, deadline: float):
        self.has_struck = False
        self._timeout = timeout
        self._end = time.monotonic() + deadline
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(deadline, self._strike)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *unused: object) -> None:
        self._timer.cancel()
        for handle in self._handles:
            handle.close()

    def seconds(self) -> float:
        """How long one step may take; raises TimeoutError when there is no time left."""
        left = self._end - time.monotonic()
        if left <= 0:
            self.has_struck = True
            raise TimeoutError("timed out")
        return min(self._timeout, left)

    def watch(self, connection: socket.socket) -> None:
        """Makes a connection end with the deadline, also once TLS has taken it over."""
        self._handles.append(connection.dup())
        self.seconds()

    def _strike(self) -> None:
        self.has_struck = True
        for handle in [*self._handles]:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)


def _follow(address: str, max_bytes: int, clock: _Clock, reach: Reach) -> bytes:
    for _ in range(_MAX_REDIRECTS + 1):
        place = web_addresses.parse(address)
        proxy = proxy_for(place)
        peers: list[str] = []
        with _connection(place, proxy, clock, reach, peers) as connection:
            response = _ask(connection, address, place, proxy)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return _body(response, max_bytes)
        if proxy is None:
            reach = Reach.beyond(web_addresses.kind(peers[-1]))
        else:
            named = web_addresses.kind_of_name(place.host)
            reach = Reach.beyond(*([named] if named else []))
        # The bytes of a header come as Latin-1; those of an address are UTF-8.
        location = location.encode("latin-1", "replace").decode("utf-8", "replace")
        address = urllib.parse.urljoin(address, location)
    raise DownloadError("too many redirects")


@contextlib.contextmanager
def _connection(
    place: Place, proxy: Proxy | None, clock: _Clock, reach: Reach, peers: list[str]
) -> Iterator[http.client.HTTPConnection]:
    """Yields a connection to a place, or to its proxy; adds the address that it leads to."""
    if proxy is None:
        next_place = place
    else:
        next_place = proxy.place
        reach.check_name(place.host)
        reach = web_addresses.ANYWHERE
        if place.scheme == next_place.scheme == "https":
            raise DownloadError(
                f"the proxy {proxy.address} is reached by https itself, which is possible for "
                "http addresses only"
            )
    secure = "https" in (place.scheme, next_place.scheme)
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection: Any = kind(next_place.host, next_place.port, timeout=clock.seconds())

    def connect(where: tuple[str, int], *unused: object) -> socket.socket:
        made = _connect(*where, clock, reach)
        peers.append(made.getpeername()[0])
        return made

    connection._create_connection = connect
    answers: list[http.client.HTTPResponse] = []

    def respond(*args: Any, **options: Any) -> http.client.HTTPResponse:
        answers.append(http.client.HTTPResponse(*args, **options))
        return answers[-1]

    connection.response_class = respond
    if proxy is not None and place.scheme == "https":
        connection.set_tunnel(place.host, place.port, proxy.headers)
    try:
        yield connection
    finally:
        connection.close()
        for answer in answers:  # Each holds the socket beyond the connection's end.
            answer.close()


def _connect(host: str, port: int, clock: _Clock, reach: Reach) -> socket.socket:
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in _look_up(host, port, clock):
        connection = socket.socket(family, kind, protocol)
        try:
            reach.check(str(address[0]))
            connection.settimeout(clock.seconds())
            clock.watch(connection)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
            continue
        except BaseException:
            connection.close()
            raise
        return connection
    raise failure


def _look_up(host: str, port: int, clock: _Clock) -> list[Any]:
    """As `socket.getaddrinfo`, which knows no deadline."""
    answers: queue.Queue[Any] = queue.Queue()

    def work() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=clock.seconds())
    except queue.Empty:
        raise TimeoutError(f"nobody says where {host} is") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask(
    connection: http.client.HTTPConnection, address: str, place: Place, proxy: Proxy | None
) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(address)
    target = urllib.parse.quote(parts.path or "/", safe=_UNQUOTED)
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe=_UNQUOTED)
    headers = dict(_HEADERS)
    default = 443 if place.scheme == "https" else 80
    host = f"[{place.host}]" if ":" in place.host else place.host
    headers["Host"] = host if place.port == default else f"{host}:{place.port}"
    if proxy is not None and place.scheme == "http":
        target = f"http://{headers['Host']}{target}"
        headers |= proxy.headers
    connection.request("GET", target, headers=headers)
    return connection.getresponse()


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if response.status == 407:
        raise DownloadError("the proxy wants a user and a password, as in http://user:word@proxy")
    if response.status in (404, 410):
        raise NotThere(f"the server says {response.status}")
    if response.status != 200:
        raise DownloadError(f"the server says {response.status}")
    data = bytearray()
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > max_bytes:
            raise DownloadError(f"it is larger than {max_bytes:,} bytes")
    expected = web_addresses.whole_number(response.headers.get("Content-Length", ""))
    if response.length is not None and expected is not None and len(data) < expected:
        raise DownloadError(f"it ended after {len(data):,} of {expected:,} bytes")
    return bytes(data)
