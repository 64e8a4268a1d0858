"""One request for a poster: its way through proxies and redirects, within a deadline.

Whatever a server sends, it costs the one poster that was asked for.
"""

import asyncio
import contextlib
import dataclasses
import socket
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import yarl

from data_prep.posters import http_answer, image_check
from data_prep.posters.http_answer import Permanent, Transient
from mmgenre.errors import UserError
from mmgenre.inputs import proxies, web_addresses
from mmgenre.inputs.web_addresses import Kind, Reach

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS: Final = 10


@dataclasses.dataclass(frozen=True)
class _Way:
    """How a host is asked: directly, or through a proxy.

    Attributes:
      session: the connections.
      proxy: with user and password; None for none.
    """

    session: aiohttp.ClientSession
    proxy: yarl.URL | None = None


class Requester:
    """Sends requests. Made by `open_requester`.

    Attributes:
      num_requests: sent so far.
    """

    def __init__(
        self,
        base: str,
        timeout: float,
        max_unreachable: int,
        direct: aiohttp.ClientSession,
        proxied: aiohttp.ClientSession,
        reach: Reach,
    ):
        self.num_requests = 0
        self._base = yarl.URL(base).with_user(None) if base else yarl.URL()  # As it is shown.
        self._timeout = timeout
        self._max_unreachable = max_unreachable
        self._unreachable = 0  # Requests in a row that did not reach the server.
        self._direct = direct
        self._proxied = proxied
        self._reach = reach
        self._ways: dict[tuple[str, str], _Way] = {}
        # Of the requests under way; without one, `end_overdue` has ended it.
        self._deadlines: dict[asyncio.Task[Any], float] = {}

    async def get(self, url: yarl.URL) -> bytes:
        """Asks for an image, once.

        Raises:
          Transient: another try may help.
          Permanent: none would.
          UserError: the server has been out of reach for many requests in a row, or the proxy that
            the environment names is unusable.
        """
        self.num_requests += 1
        task = asyncio.current_task()
        assert task is not None
        self._deadlines[task] = time.monotonic() + 2 * self._timeout
        try:
            data = await self._follow(url)
        except aiohttp.ClientConnectorError as error:
            raise self._not_connected(error) from error
        except asyncio.CancelledError as error:
            if task in self._deadlines or task.uncancel() > 0:
                raise  # Somebody else wants the task to end.
            raise Transient("timed out") from error
        except TimeoutError as error:
            raise Transient("timed out") from error
        except aiohttp.ClientPayloadError as error:
            raise Transient("truncated answer", is_corrupt=True) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Permanent("refused: an address that cannot be read") from error
        except aiohttp.ClientResponseError as error:
            raise Transient("an answer that is not HTTP") from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise Transient("the connection ended") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(type(error).__name__) from error
        finally:
            self._deadlines.pop(task, None)
        if not image_check.looks_whole(data):
            # In a thread: decoding takes long enough to keep all other requests waiting.
            problem = await asyncio.to_thread(image_check.problem, data)
            if problem:
                raise Transient(problem, is_corrupt=True)
        return data

    async def end_overdue(self) -> None:
        """Ends, for as long as it runs, the requests that take too long.

        One look a second at all of them: aiohttp's timer for each costs a tenth of the speed.
        """
        while True:
            await asyncio.sleep(min(1.0, self._timeout))
            now = time.monotonic()
            for task in [task for task, deadline in self._deadlines.items() if deadline < now]:
                del self._deadlines[task]
                task.cancel()

    async def _follow(self, url: yarl.URL) -> bytes:
        """Returns the body of the answer to which redirects lead."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._answer(url, self._way(url))
            if isinstance(answer, bytes):
                return answer
            url = _redirected(url, answer)
        raise Permanent("refused: too many redirects")

    async def _answer(self, url: yarl.URL, way: _Way) -> bytes | str:
        """Returns an answer's body, or where it redirects to."""
        try:
            async with way.session.get(url, proxy=way.proxy, allow_redirects=False) as response:
                self._unreachable = 0
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location is not None:
                    return location
                if response.status == 407 and way.proxy is not None:
                    raise _proxy_wants_password(way.proxy)
                if response.status != 200:
                    raise http_answer.failure(response)
                return await http_answer.body(response)
        except aiohttp.ClientHttpProxyError as error:
            if error.status == 407 and way.proxy is not None:
                raise _proxy_wants_password(way.proxy) from error
            raise Transient(f"the proxy says {error.status}") from error

    def _way(self, url: yarl.URL) -> _Way:
        key = url.scheme, url.raw_authority
        if key not in self._ways:
            if len(self._ways) >= 1_000:  # A server may redirect to a new host each time.
                self._ways.clear()
            place = web_addresses.parse(str(url.origin()))
            proxy = proxies.proxy_for(place)
            if proxy is None:
                self._ways[key] = _Way(self._direct)
            else:
                try:
                    self._reach.check_name(place.host)
                except web_addresses.Refused as error:
                    raise Permanent(f"refused: {error}") from error
                address = yarl.URL(proxy.address)
                if proxy.headers:
                    address = address.with_user(proxy.user).with_password(proxy.password)
                self._ways[key] = _Way(self._proxied, address)
        return self._ways[key]

    def _not_connected(self, error: aiohttp.ClientConnectorError) -> Exception:
        if isinstance(error.os_error, web_addresses.Refused):
            return Permanent(f"refused: {error.os_error}")
        is_proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
        if not is_proxy and error.host != self._base.host:  # Of one poster that is elsewhere.
            return Transient("no connection")
        self._unreachable += 1
        if self._unreachable < self._max_unreachable:
            return Transient("no connection")
        reason = error.strerror or error
        if is_proxy:
            reason = f"the proxy {error.host}:{error.port} does not answer: {reason}"
        return UserError(
            f"the image server {self._base} cannot be reached ({reason}); run the same command "
            "again to go on when it can"
        )


def _redirected(url: yarl.URL, location: str) -> yarl.URL:
    try:
        target = url.join(yarl.URL(location))
        scheme = target.scheme
    except ValueError as error:
        raise Permanent("refused: redirected to an address that cannot be read") from error
    if scheme not in web_addresses.SCHEMES:
        raise Permanent("refused: redirected to something other than http(s)")
    return target


def _proxy_wants_password(proxy: yarl.URL) -> UserError:
    return UserError(
        f"the proxy {proxy.host}:{proxy.port} wants a user and a password; give them as in "
        "http_proxy=http://user:password@host:port"
    )


async def _kinds(base: str) -> list[Kind]:
    """The kinds of addresses that the server has, as far as they can be had."""
    place = web_addresses.parse(base)
    known = web_addresses.kind_of_name(place.host)
    if known is not None:
        return [known]
    if proxies.proxy_for(place) is not None:  # Which looks it up, in its own network.
        return []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port)
    except (OSError, ValueError):
        return []
    return [web_addresses.kind(str(address[0])) for *_, address in found]


@contextlib.asynccontextmanager
async def open_requester(
    base: str, timeout: float, concurrency: int, reach: Reach | None = None
) -> AsyncIterator[Requester]:
    """Yields a requester; closes its connections at the end.

    Args:
      base: the server's address; "" for none.
      timeout: seconds to connect; the whole answer may take twice as long, and a second more.
      concurrency: connections at most.
      reach: what may be connected to. None: what the server redirects to, and a poster that has an
        address of its own, is at a public address, or at one of the same kind as the server's.
    """
    reach = reach or Reach.beyond(*(await _kinds(base) if base else ()))

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        reach.check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def open_session(**options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # The rest of the timeouts: `Requester.end_overdue`.
            timeout=aiohttp.ClientTimeout(sock_connect=timeout),
            connector=aiohttp.TCPConnector(limit=concurrency, ttl_dns_cache=300, **options),
            auto_decompress=False,  # Images are compressed as they are; this way a size is a size.
            headers={"Accept-Encoding": "identity", "User-Agent": "mmgenre data preparation"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async with open_session(socket_factory=open_socket) as direct, open_session() as proxied:
        max_unreachable = 2 * max(concurrency, 10)
        requester = Requester(base, timeout, max_unreachable, direct, proxied, reach)
        watch = asyncio.create_task(requester.end_overdue())
        try:
            yield requester
        finally:
            watch.cancel()
