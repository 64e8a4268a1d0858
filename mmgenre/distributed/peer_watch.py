"""Watches over the processes of a run, so that none waits for one that is gone.

A collective operation waits for all processes, and neither gloo nor NCCL notices that one was
killed. JAX's own heartbeat does, after its timeout, by aborting the process with a stack trace.
Here each process keeps a TCP connection to process 0: the kernel closes it the moment a process
dies, and one that stays silent (a machine lost, a process frozen) counts as dead after `SILENCE_S`.
Whoever notices says so in one line, passes it on, and ends.
"""

import contextlib
import os
import socket
import sys
import threading
from typing import Final, NoReturn

PING_S: Final = 5.0
SILENCE_S: Final = 30.0
"""After so many seconds without a sign of life a process counts as dead."""

_ALIVE: Final = "alive"
_BYE: Final = "bye"
_LOST: Final = "lost"


class PeerWatch:
    """The connections of one process to the others: of process 0 to all, of any other to it."""

    def __init__(self) -> None:
        self._connections: list[socket.socket] = []
        self._leaving = threading.Event()

    def listen(self) -> int:
        """Waits for the other processes, as process 0; returns the port."""
        server = socket.create_server(("", 0), backlog=1024)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        threading.Thread(target=self._ping, daemon=True).start()
        return server.getsockname()[1]

    def connect(self, host: str, port: int, process_id: int) -> None:
        """Connects to process 0; raises OSError where it cannot be reached."""
        connection = socket.create_connection((host, port), timeout=SILENCE_S)
        connection.sendall(f"{process_id} {socket.gethostname()}\n".encode())
        self._connections.append(connection)
        threading.Thread(target=self._watch, args=(connection, "process 0"), daemon=True).start()
        threading.Thread(target=self._ping, daemon=True).start()

    def leave(self) -> None:
        """Says goodbye: from here on, a connection that ends means nothing."""
        self._leaving.set()
        self._send(_BYE)

    def _accept(self, server: socket.socket) -> None:
        while True:
            connection, _ = server.accept()
            self._connections.append(connection)
            threading.Thread(target=self._watch, args=(connection, ""), daemon=True).start()

    def _watch(self, connection: socket.socket, peer: str) -> None:
        connection.settimeout(SILENCE_S)
        reason = "has ended before the run was over (killed, or see its own output)"
        try:
            with connection.makefile() as lines:
                if not peer:
                    number, _, host = lines.readline().strip().partition(" ")
                    if not number.isdigit():  # A stranger, such as a port scanner.
                        return
                    peer = f"process {number} on {host}"
                for line in lines:
                    word, _, rest = line.strip().partition(" ")
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
            self._send(_ALIVE)

    def _send(self, line: str) -> None:
        for connection in self._connections:
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
        os._exit(1)
