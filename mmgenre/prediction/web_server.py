"""A web server for one application: where it listens, and how long it waits for whom.

Runs on Uvicorn. Connections that say nothing, or say it drop by drop, are closed.
"""

import asyncio
import errno
import socket
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmgenre.errors import UserError

_HEAD_S: Final = 10.0
"""Seconds in which a connection is to send the first lines of its request."""

_MAX_HEAD: Final = 16 << 10
"""Bytes of the first lines of a request."""

_MAX_CONNECTIONS: Final = 64


class _PromptProtocol(H11Protocol):
    """HTTP/1.1 for clients that come to the point."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        self.loop.call_later(_HEAD_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens; connections wait in it until something answers.

    Raises:
      UserError: the address is not this machine's, or taken.
    """
    try:
        if not 0 <= port < 1 << 16:  # Python would leave its socket open.
            raise OverflowError("a port is a number from 0 to 65535")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = "something listens there already; choose another --port"
        raise UserError(f"cannot listen on {host}:{port}: {reason}") from error


def address(listener: socket.socket) -> str:
    """Returns the address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Answers requests until the process is interrupted.

    Raises:
      KeyboardInterrupt: SIGINT came; open answers were given a moment to end.
    """
    config = uvicorn.Config(
        cast(uvicorn._types.ASGIApplication, app),
        http=_PromptProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        h11_max_incomplete_event_size=_MAX_HEAD,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[listener])
