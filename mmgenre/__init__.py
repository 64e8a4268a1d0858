"""mmgenre: the genres of a movie, from its poster and its overview."""

import os
import shlex
import signal
import sys
from types import FrameType

__version__ = "0.1.0"


def _end_at_once(signum: int, frame: FrameType | None) -> None:
    command = shlex.join(["python", *sys.orig_argv[1:]])
    name = signal.Signals(signum).name
    os.write(2, f"{name}: stopped before it began; go on with: {command}\n".encode())
    os._exit(128 + signum)


if sys.argv[:1] == ["-m"]:  # What `python -m` has there until it has found the command to run.
    # Importing takes a command a second, until `mmgenre.machine.signals` takes over.
    for _signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(_signum) != signal.SIG_IGN:
            signal.signal(_signum, _end_at_once)
    # Some libraries read their variables when they are imported.
    from mmgenre.machine import callers_environment

    callers_environment.disregard()
