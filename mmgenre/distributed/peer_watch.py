"""Watches over the processes of a run, so that none waits for one that is gone.

A collective operation waits for all processes, and neither gloo nor NCCL notices that one was
killed. JAX's own heartbeat does, after its timeout, by aborting the process with a stack trace.
Here each process keeps a TCP connection to process 0: the kernel closes it the moment a process
dies, and one that stays silent (a machine lost, a process frozen) counts as dead after `SILENCE_S`.
Whoever notices says so in one line, passes it on, and ends.

Only what knows the run's token counts (`handshake`). Process 0 listens until all are there, so that
for the rest of a run there is no port to call at.
"""

import collections
import contextlib
import os
import random
import socket
import sys
import threading
import time
from typing import Final, NoReturn

from mmgenre.distributed import handshake
from mmgenre.distributed.handshake import ALIVE, Invitation, Lines
from mmgenre.errors import LOST_CODE

PING_S: Final = 5.0
SILENCE_S: Final = 30.0
"""After so many seconds without a sign of life a process counts as dead."""

JOIN_S: Final = 120.0
"""So long process 0 waits for the others' connections; who comes later is watched by JAX alone."""

MAX_PENDING: Final = 64
"""Callers that have not shown the token yet; for one more, the oldest is turned away."""

_BYE: Final = "bye"
_LOST: Final = "lost"
_POLL_S: Final = 0.2


class PeerWatch:
    """The connections of one process to the others: of process 0 to all, of any other to it."""

    def __init__(self) -> None:
        self._connections: list[socket.socket] = []
        self._pending: collections.deque[socket.socket] = collections.deque()
        self._joined: set[int] = set()
        self._leaving = threading.Event()

    def listen(self, host: str, num_processes: int) -> Invitation:
        """Waits for the other processes, as process 0, in threads.

        Args:
          host: by which they know this machine.
          num_processes: of the run, this one included.

        Raises:
          OSError: it cannot listen.
        """
        server = handshake.listening_socket(host)
        invitation = Invitation.for_socket(server)
        self._start(self._accept, server, invitation.token, num_processes)
        self._start(self._ping)
        return invitation

    def connect(self, host: str, invitation: Invitation, process_id: int) -> None:
        """Connects to process 0; raises OSError where it cannot be reached."""
        deadline = time.monotonic() + SILENCE_S
        while True:
            try:
                connection, lines = handshake.join(host, invitation, process_id)
                break
            except handshake.TurnedAway:  # It has too many callers: strangers.
                if time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.1, 1.0))
        self._connections.append(connection)
        self._start(self._watch, connection, lines, "process 0")
        self._start(self._ping)

    def leave(self) -> None:
        """Says goodbye: from here on, a connection that ends means nothing."""
        self._leaving.set()
        self._send(_BYE)

    def _start(self, work: collections.abc.Callable[..., object], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self, server: socket.socket, token: str, num_processes: int) -> None:
        deadline = time.monotonic() + JOIN_S
        server.settimeout(_POLL_S)
        with server:
            while (
                len(self._joined) < num_processes - 1
                and time.monotonic() < deadline
                and not self._leaving.is_set()
            ):
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                except OSError:  # It hung up at once, or no more files can be opened.
                    time.sleep(_POLL_S)
                    continue
                while len(self._pending) >= MAX_PENDING:
                    _hang_up(self._pending.popleft())
                self._pending.append(connection)
                self._start(self._greet, connection, token, num_processes)
        for connection in [*self._pending]:
            _hang_up(connection)

    def _greet(self, connection: socket.socket, token: str, num_processes: int) -> None:
        lines = Lines(connection)
        caller = handshake.greeting(lines, token, num_processes)
        try:
            self._pending.remove(connection)  # Nobody turns it away from here on.
        except ValueError:
            caller = None
        if caller is None or not handshake.welcome(connection, lines):
            connection.close()
            return
        number, host = caller
        self._connections.append(connection)
        self._joined.add(number)
        self._watch(connection, lines, f"process {number} on {host}")

    def _watch(self, connection: socket.socket, lines: Lines, peer: str) -> None:
        reason = "has ended before the run was over (killed, or see its own output)"
        try:
            while line := lines.read(SILENCE_S):
                word, _, rest = line.partition(" ")
                if word == _BYE:
                    return
                if word == _LOST:
                    self._end(rest)
        except TimeoutError:
            reason = f"has given no sign of life for {SILENCE_S:.0f} seconds"
        except OSError:
            pass
        if not self._leaving.is_set():
            self._end(f"{peer} {reason}")

    def _ping(self) -> None:
        while not self._leaving.wait(PING_S):
            self._send(ALIVE)

    def _send(self, line: str) -> None:
        for connection in [*self._connections]:
            with contextlib.suppress(OSError):
                connection.sendall(f"{line}\n".encode())

    def _end(self, reason: str) -> NoReturn:
        self._send(f"{_LOST} {reason}")
        with contextlib.suppress(OSError, ValueError):
            message = (
                f"error: {reason}; this process ends too. Start all processes again with the same "
                "command: they resume from the latest checkpoint"
            )
            print(message, file=sys.stderr, flush=True)
        os._exit(LOST_CODE)


def _hang_up(connection: socket.socket) -> None:
    """Ends a connection whose thread may be reading from it; the thread closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
