"""SIGTERM and SIGINT: the first asks a run to save and end, the second ends it at once.

Python runs a signal's handler between two instructions of the main thread, which may sit in a
compilation for a minute. So the handlers do nothing, and a thread reads the byte that the
interpreter's C code writes for each signal as it arrives (`signal.set_wakeup_fd`).
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

from mmgenre.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _State:
    """What the main thread and the watching thread share."""

    resume_command = ""
    graceful = False
    received = 0


def install(resume_command: str) -> None:
    """Starts watching for signals; to be called by the main thread, once.

    Args:
      resume_command: what the user may run to go on; it is printed.
    """
    _State.resume_command = resume_command
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for signum in _SIGNALS:
        signal.signal(signum, lambda *_: None)
    # A forked child must not report its signals through its parent's socket.
    os.register_at_fork(after_in_child=_uninstall)
    threading.Thread(target=_watch, args=(reader, writer), daemon=True).start()


@contextlib.contextmanager
def graceful() -> Iterator[None]:
    """Within it a signal only sets `requested`; outside it ends the process at once.

    Raises:
      Interrupted: at the end, where a signal came too late for the code within to see it.
    """
    _State.graceful = True
    try:
        yield
    finally:
        _State.graceful = False
    if _State.received:
        raise Interrupted(_State.received, resume_hint())


def requested() -> int:
    """The number of the signal that asked the run to end; 0 where none did."""
    return _State.received


def saved(signum: int, step: int) -> Interrupted:
    """Returns what to raise after saving the state after `step`, at the request of a signal."""
    return Interrupted(signum, f"saved after step {step}; {resume_hint()}")


def resume_hint() -> str:
    """What to tell the user who wants to go on."""
    command = _State.resume_command
    return f"go on with: {command}" if command else "run the same command again to go on"


def _watch(reader: socket.socket, writer: socket.socket) -> None:
    while data := reader.recv(1):  # `writer` is held here, so that it is never closed.
        signum = data[0]
        if signum in _SIGNALS:
            _receive(signum)


def _receive(signum: int) -> None:
    name = signal.Signals(signum).name
    if not _State.graceful:
        _say(f"{name}: stopped; nothing had to be saved; {resume_hint()}")
        os._exit(128 + signum)
    if _State.received:
        _say(f"{name}: the second signal, stopped at once; {resume_hint()}")
        os._exit(128 + signum)
    _State.received = signum
    _say(f"{name}: finishing the step and saving; a second signal stops at once")


def _say(message: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr, flush=True)


def _uninstall() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        for signum in _SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
