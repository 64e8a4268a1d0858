"""A web server for one application: where it listens, and how long it waits for whom.

Runs on Uvicorn. Connections that say nothing, or say it drop by drop, are closed.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmgenre.errors import UserError

_HEAD_S: Final = 10.0
"""Seconds in which a connection is to send the first lines of its request."""

_MAX_HEAD: Final = 16 << 10
"""Bytes of the first lines of a request."""

_KEEP_ALIVE_S: Final = 5.0
"""Seconds that a connection may stay open without a request, where it may at all."""

_MAX_CONNECTIONS: Final = 64


class _PromptProtocol(H11Protocol):
    """HTTP/1.1 for clients that come to the point, at each request of a connection."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        # asyncio does so for sockets whose protocol has a number, which those of `listen` have not.
        # Without it, an answer's second packet waits 40 ms for the client to confirm the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._overdue = self.loop.call_later(_HEAD_S, self._close_if_silent)

    def data_received(self, data: bytes) -> None:
        """Starts the clock with the first byte of a request, and stops it once its head is in."""
        if self._overdue is None and self._is_between_requests():
            self._overdue = self.loop.call_later(_HEAD_S, self._close_if_silent)
        super().data_received(data)
        if self._overdue is not None and not self._is_between_requests():
            self._overdue.cancel()
            self._overdue = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        super().connection_lost(exc)
        if self._overdue is not None:
            self._overdue.cancel()

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_silent(self) -> None:
        if self._is_between_requests():
            self.transport.abort()


class _Server(uvicorn.Server):
    """Ends when it is asked to by `stop` instead of by a signal, where that is given."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], object] | None):
        super().__init__(config)
        self._stop = stop

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leaves signals to whoever gave `stop`."""
        return super().capture_signals() if self._stop is None else contextlib.nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Returns whether to end; asked ten times a second."""
        return await super().on_tick(counter) or bool(self._stop and self._stop())


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


def run(
    app: ASGIApp,
    listener: socket.socket,
    *,
    max_connections: int = _MAX_CONNECTIONS,
    drain_s: float = 3.0,
    stop: Callable[[], object] | None = None,
) -> None:
    """Answers requests until the process is interrupted, or `stop` says true.

    Then it takes no more connections and closes those that wait for nothing.

    Args:
      app: what answers. It sends `Connection: close` where a connection is for one request.
      listener: where from.
      max_connections: at once; those above are told to come again.
      drain_s: seconds that open answers have to end.
      stop: asked ten times a second; None to end by SIGINT and SIGTERM.

    Raises:
      KeyboardInterrupt: SIGINT came, where there is no `stop`.
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
        limit_concurrency=max_connections,
        h11_max_incomplete_event_size=_MAX_HEAD,
        timeout_keep_alive=cast(int, _KEEP_ALIVE_S),
        timeout_graceful_shutdown=cast(int, drain_s),
    )
    _Server(config, stop).run(sockets=[listener])
