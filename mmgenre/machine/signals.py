"""SIGTERM and SIGINT: how they end a command, in one line, with nothing half done left behind.

Three ways, of which each command has one:

- The first signal raises KeyboardInterrupt in the main thread, so that files are tidied up, and a
  second one, or `_GRACE_S`, ends the process at once (`watch`).
- Any signal ends the process at once: whatever a kill leaves is whole or absent (`stop_at_once`).
- Within `graceful` the first signal only sets `requested`, and the second ends the process.

Python runs a signal's handler between two instructions of the main thread, which may sit in a
compilation for a minute. So a thread reads the byte that the interpreter's C code writes for each
signal as it arrives (`signal.set_wakeup_fd`).
"""

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

from mmgenre import typed_command
from mmgenre.errors import Interrupted

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_GRACE_S: Final = 3.0
"""How long the main thread may take to tidy up."""


class _State:
    """What the main thread and the watching thread share."""

    kept = ""
    is_watching = False
    unwinds = False
    unwinding = 0
    graceful = False
    doing = ""
    requested = 0
    stderr: int | None = None
    ending = threading.Lock()


def watch(kept: str = "") -> None:
    """Starts watching for signals; to be called by the main thread.

    Args:
      kept: see `keep`.
    """
    _State.unwinds, _State.unwinding = True, 0
    keep(kept)
    for signum in SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _unwind)
    if not _State.is_watching:
        _State.is_watching = True
        # Python gives signals back to the system long before it has taken itself apart.
        atexit.register(_ignore)
        # A forked child must not report its signals through its parent's socket.
        os.register_at_fork(after_in_child=_let_signals_be)
        _State.stderr = _copy_of_stderr()
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(reader, writer), daemon=True).start()


def stop_at_once() -> None:
    """From here on a signal ends the process without unwinding the main thread.

    For commands that leave nothing to tidy up, and whose threads must not go on beside it.
    """
    _State.unwinds = False
    for signum in SIGNALS:
        signal.signal(signum, lambda *_: None)


def let_be() -> None:
    """Stops watching, for a caller with handlers of its own."""
    _State.unwinds, _State.is_watching = False, False
    signal.set_wakeup_fd(-1)


def keep(what: str) -> None:
    """Sets what the line of an interruption says of the work done so far."""
    _State.kept = what or "nothing had to be saved"


@contextlib.contextmanager
def graceful(doing: str = "finishing the step and saving") -> Iterator[None]:
    """Within it a signal only sets `requested`; outside it ends the process.

    Args:
      doing: what the code within does once a signal has come, for the line that says so.

    Raises:
      Interrupted: at the end, where a signal came too late for the code within to see it.
    """
    _State.graceful, _State.doing = True, doing
    try:
        yield
    finally:
        _State.graceful = False
    if _State.requested:
        raise Interrupted(_State.requested, resume_hint())


def requested() -> int:
    """The number of the signal that asked the run to end; 0 where none did."""
    return _State.requested


def saved(signum: int, step: int) -> Interrupted:
    """Returns what to raise after saving the state after `step`, at the request of a signal."""
    return Interrupted(signum, f"saved after step {step}; {resume_hint()}")


def resume_hint() -> str:
    """What to tell the user who wants to go on."""
    return f"go on with: {typed_command()}"


def end_if_stopped() -> None:
    """Ends the process where a signal has unwound the main thread; else no signal does so later."""
    if _State.unwinding:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        _end(_State.unwinding, _stopped())
    _State.unwinds = False


def _unwind(signum: int, frame: FrameType | None) -> None:
    if _State.unwinds and not _State.graceful and not _State.unwinding:
        _silence()
        if _is_importing(frame):  # Some libraries crash when an exception ends their import.
            _end(signum, _stopped())
        _State.unwinding = signum
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _watch(reader: socket.socket, writer: socket.socket) -> None:
    while data := reader.recv(1):  # `writer` is held here, so that it is never closed.
        if data[0] in SIGNALS:
            _receive(data[0], reader)


def _receive(signum: int, reader: socket.socket) -> None:
    if _State.graceful and not _State.requested:
        _State.requested = signum
        _say(f"{_name(signum)}: {_State.doing}; a second signal stops at once")
        return
    if _State.graceful:
        _end(signum, f"the second signal, stopped at once; {resume_hint()}")
    if _State.unwinds:
        _silence()
        reader.settimeout(_GRACE_S)
        with contextlib.suppress(TimeoutError):
            reader.recv(1)
    _end(signum, _stopped())


def _end(signum: int, message: str) -> NoReturn:
    """Prints the line and ends this process and its children, whoever comes first."""
    with _State.ending:
        if "multiprocessing" in sys.modules:
            import multiprocessing

            for child in multiprocessing.active_children():
                child.kill()
        _say(f"{_name(signum)}: {message}")
        os._exit(128 + signum)


def _stopped() -> str:
    return f"stopped; {_State.kept}; {resume_hint()}"


def _name(signum: int) -> str:
    return signal.Signals(signum).name


def _silence() -> None:
    """Keeps libraries from reporting an interruption as their failure: one line will tell of it."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)


def _say(message: str) -> None:
    with contextlib.suppress(OSError):
        file = 2 if _State.stderr is None else _State.stderr
        start = "\n" if os.isatty(file) else ""  # A progress bar may be in the way.
        os.write(file, f"{start}{message}\n".encode())


def _copy_of_stderr() -> int | None:
    with contextlib.suppress(OSError):
        return os.dup(2)
    return None


def _ignore() -> None:
    """All work is done and all threads have ended: nothing is left to interrupt."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def _let_signals_be() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
