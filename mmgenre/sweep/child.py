"""Trains one point of a sweep in a process of its own: the real command, as a user runs it.

So a point that crashes, or that the kernel kills, ends alone, and all its memory comes back.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from mmgenre.machine import signals

OUTPUT: Final = "output.txt"
"""What the point's process printed, in its folder."""

_POLL_S: Final = 0.2
_PR_SET_PDEATHSIG: Final = 1  # From <sys/prctl.h>.


class Signals:
    """Collects SIGINT and SIGTERM, which belong to the point that is being trained."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def install(self) -> None:
        """Starts collecting; to be called by the main thread."""
        signals.let_be()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.received.append(signum)


def train(
    arguments: Sequence[str], folder: Path, collected: Signals, on_poll: Callable[[], None]
) -> tuple[int, str]:
    """Runs `python -m mmgenre.main` to its end, and passes signals on to it.

    Args:
      arguments: of the command, the run directory included.
      folder: made where it is missing; the output is added to a file there.
      collected: what arrives there while the process runs is sent to it, each signal once.
      on_poll: is called now and then while the process runs.

    Returns:
      The exit code, or minus the number of the signal that killed the process; and in one line
      why it is not 0.

    Raises:
      OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mmgenre.main", *arguments]
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_parent() -> None:
        """Asks Linux for a SIGTERM when the sweep is killed: nobody else would end this one."""
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # It was killed before.
                os._exit(1)

    with (folder / OUTPUT).open("ab") as output:
        before = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Else Ctrl-C would reach it twice, from the terminal and from here, and the second
            # signal ends a run without saving.
            process_group=0,
            preexec_fn=end_with_parent,
        )
    sent = 0
    while True:
        try:
            code = process.wait(_POLL_S)
            return code, _reason(code, folder / OUTPUT, before) if code else ""
        except subprocess.TimeoutExpired:
            for signum in collected.received[sent:]:
                process.send_signal(signum)
                sent += 1
            on_poll()


def _reason(code: int, path: Path, before: int) -> str:
    """Says why a process ended, from what it printed after so many bytes of earlier ones."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = path.read_bytes()[before:].decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return (errors or said or [f"exit code {code}"])[-1]
