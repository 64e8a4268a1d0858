"""The guard in front of a web application: which requests it sees, and what every answer says.

A page on one's own machine is within reach of every other page that its user's browser opens: such
a page can send forms here, and by changing what its own name resolves to (DNS rebinding) it can
read the answers. So a request must name this server as its host, and the page that sent it must be
of this server. Bodies come in whole, in memory alone, and are limited each and all together.
"""

import asyncio
import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 12 << 20
"""Bytes of the largest request body that is taken."""

_MAX_BODIES: Final = 8
"""Requests with a body that are answered at once; those above are told to come again."""

_MAX_DRAINED: Final = 128 << 20
"""Bytes of a body too large that are read and forgotten: browsers show no answer before its end."""

_BODY_S: Final = 60.0
"""Seconds that a body may take to come in."""

_ANSWER_S: Final = 300.0
"""Seconds that an answer may take to be made and read."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class _Refused(Exception):
    """A request that the application does not get to see."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Guard:
    """An ASGI application that lets through to another one what is small and from its own pages.

    GET and HEAD come through without a body. Anything else than HTTP is not answered at all.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], policy: str):
        """Puts the guard in front of `app`.

        Args:
          app: the application.
          hosts: names that requests may call this server by, beside the loopback's and the
            address that a request came in at.
          policy: the content security policy of every answer.
        """
        self._app = app
        self._hosts = {_plain(host) for host in (*_LOOPBACK, *hosts)}
        self._headers = [
            (b"content-security-policy", policy.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            # Not no-referrer: with it, a browser calls the page that sends a form "null".
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
            # So that the deadline for a request's first lines holds for all of them.
            (b"connection", b"close"),
        ]
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or has it answered."""
        if scope["type"] != "http":
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        try:
            async with asyncio.timeout(_ANSWER_S):
                self._check_names(scope)
                if scope["method"] in ("GET", "HEAD"):
                    await self._app(scope, _replay(b"", receive), send_guarded)
                else:
                    await self._with_body(scope, receive, send_guarded)
        except _Refused as error:
            answer = PlainTextResponse(f"error: {error}\n", status_code=error.status)
            await answer(scope, receive, send_guarded)
        except TimeoutError:
            if not started:
                answer = PlainTextResponse("error: this took too long\n", status_code=503)
                await answer(scope, receive, send_guarded)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._bodies >= _MAX_BODIES:
            raise _Refused(503, "others are being answered; try again in a moment")
        self._bodies += 1
        try:
            body = await _read_body(receive)
            await self._app(scope, _replay(body, receive), send)
        finally:
            self._bodies -= 1

    def _check_names(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise _Refused(400, "the request is to name one host")
        reached_at = (scope.get("server") or ("", None))[0]
        name = _plain(match[1])
        if name not in self._hosts and name != _plain(reached_at):
            raise _Refused(
                403, f"this server is not known as {name}; start it with --allow-host {name}"
            )
        # The port counts: another program's page on the same machine is not this one's.
        if any(not _is_page_of(origin, hosts[0]) for origin in origins):
            raise _Refused(403, "only this server's own page may send it something")


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


async def _read_body(receive: Receive) -> bytes:
    """Returns the body; raises _Refused where it is too large, cut off or too slow."""
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _Refused(400, "the request was cut off")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= MAX_BODY:
                    body += chunk
                else:
                    body.clear()
                if not message.get("more_body", False) or size > _MAX_DRAINED:
                    break
    except TimeoutError as error:
        raise _Refused(408, f"the request took more than {_BODY_S:.0f} seconds") from error
    if size > MAX_BODY:
        raise _Refused(
            413, f"too large: more than {MAX_BODY >> 20} MiB; go back and choose a smaller file"
        )
    return bytes(body)


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
