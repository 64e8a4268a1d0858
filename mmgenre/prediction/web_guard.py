"""The guard in front of a web application: which requests it sees, and what every answer says.

A page on one's own machine is within reach of every other page that its user's browser opens: such
a page can send forms here, and by changing what its own name resolves to (DNS rebinding) it can
read the answers. So a request must name this server as its host, and the page that sent it must be
of this server. Bodies come in whole, in memory alone, and are limited each and all together.
"""

import asyncio
import contextlib
import dataclasses
import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 12 << 20
"""Bytes of the largest request body that is taken."""

_MAX_DRAINED: Final = 128 << 20
"""Bytes of a body too large that are read and forgotten: browsers show no answer before its end."""

_BODY_S: Final = 60.0
"""Seconds that a body may take to come in."""

_DRAIN_S: Final = 5.0
"""Seconds that are given to a body that is not wanted."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What requests may ask for.

    Attributes:
      body: bytes of the largest body that is taken.
      bodies: requests with a body that are answered at once; those above are told to come again.
      together: bytes of all their bodies.
      answer_s: seconds that an answer may take to be made and read.
    """

    body: int = MAX_BODY
    bodies: int = 8
    together: int = 8 * MAX_BODY
    answer_s: float = 300.0


class Refused(Exception):
    """A request that the application does not get to see; the message is a sentence.

    Attributes:
      status: of the answer.
      headers: of the answer, beside those of every answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def _as_text(error: Refused) -> ASGIApp:
    return PlainTextResponse(f"error: {error}\n", error.status, error.headers)


class Guard:
    """An ASGI application that lets through to another one what is small and from its own pages.

    GET and HEAD come through without a body. Anything else than HTTP is not answered at all.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        policy: str,
        limits: Limits | None = None,
        admit: Callable[[Scope], None] = lambda scope: None,
        refusal: Callable[[Refused], ASGIApp] = _as_text,
        keep_alive: bool = False,
    ):
        """Puts the guard in front of `app`.

        Args:
          app: the application.
          hosts: names that requests may call this server by, beside the loopback's and the
            address that a request came in at.
          policy: the content security policy of every answer.
          limits: of requests.
          admit: raises Refused for a request that is not to be answered; asked before its body
            is read.
          refusal: makes the answer.
          keep_alive: whether a connection may have several requests.
        """
        self._app = app
        self._hosts = {_plain(host) for host in (*_LOOPBACK, *hosts)}
        self._limits = limits or Limits()
        self._admit = admit
        self._refusal = refusal
        self._headers = [
            (b"content-security-policy", policy.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            # Not no-referrer: with it, a browser calls the page that sends a form "null".
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]
        if not keep_alive:
            self._headers.append((b"connection", b"close"))
        self._open: set[_Body] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or has it answered."""
        if scope["type"] != "http":
            return
        started = seen = False

        async def receive_guarded() -> Message:
            nonlocal seen
            seen = True
            return await receive()

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        try:
            self._check_names(scope)
            self._admit(scope)
            if scope["method"] in ("GET", "HEAD"):
                await self._answer(scope, _replay(b"", receive), send_guarded)
            else:
                await self._with_body(scope, receive_guarded, send_guarded)
        except Refused as error:
            if not started:
                if not seen:
                    await _drain(scope, receive, self._limits.body)
                await self._refusal(error)(scope, receive, send_guarded)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self._open) >= self._limits.bodies:
            raise _busy()
        body = _Body(self._limits, lambda: sum(len(other.content) for other in self._open - {body}))
        self._open.add(body)
        try:
            await body.read(receive)
            await self._answer(scope, _replay(bytes(body.content), receive), send)
        finally:
            self._open.discard(body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._limits.answer_s):
                await self._app(scope, receive, send)
        except TimeoutError as error:
            raise Refused(504, "this took too long") from error

    def _check_names(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise Refused(400, "the request is to name one host")
        reached_at = (scope.get("server") or ("", None))[0]
        name = _plain(match[1])
        if name not in self._hosts and name != _plain(reached_at):
            raise Refused(
                403, f"this server is not known as {name}; start it with --allow-host {name}"
            )
        # The port counts: another program's page on the same machine is not this one's.
        if any(not _is_page_of(origin, hosts[0]) for origin in origins):
            raise Refused(403, "only this server's own page may send it something")


def _is_page_of(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _plain(host: str) -> str:
    """Returns a host's name, or an address in its one normal form, without brackets."""
    name = host.strip("[]").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _busy() -> Refused:
    return Refused(503, "others are being answered; try again in a moment", {"Retry-After": "1"})


class _Body:
    """The body of a request while it comes in, counted among all of them."""

    def __init__(self, limits: Limits, bytes_of_others: Callable[[], int]):
        self.content = bytearray()
        self._limits = limits
        self._of_others = bytes_of_others

    async def read(self, receive: Receive) -> None:
        """Reads all of it; raises Refused where it is too large, cut off or too slow."""
        size = 0
        try:
            async with asyncio.timeout(_BODY_S):
                async for chunk in _chunks(receive):
                    size += len(chunk)
                    if size > self._limits.body:
                        self.content.clear()
                        if size > _MAX_DRAINED:
                            break
                        continue
                    if self._of_others() + size > self._limits.together:
                        raise _busy()
                    self.content += chunk
        except TimeoutError as error:
            raise Refused(408, f"the request took more than {_BODY_S:.0f} seconds") from error
        if size > self._limits.body:
            raise Refused(
                413, f"too large: more than {self._limits.body >> 20} MiB; send a smaller file"
            )


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yields a body as it comes in; raises Refused where it is cut off."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "the request was cut off")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _drain(scope: Scope, receive: Receive, limit: int) -> None:
    """Reads a body that nobody wants: many clients read no answer before they have sent it all."""
    if Headers(scope=scope).get("expect", "").lower() == "100-continue":
        return
    size = 0
    with contextlib.suppress(Refused, TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in _chunks(receive):
                size += len(chunk)
                if size > limit:
                    return


def _replay(body: bytes, receive: Receive) -> Receive:
    """Returns what gives the application the body first, and then tells when the client leaves."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return message

    return replayed
