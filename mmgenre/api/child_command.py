"""Runs one of this program's commands in a process of its own, for a caller in Python.

Commands fork, take signals, set up logging and choose how JAX uses the machine: none of that is to
happen to a notebook, or to a program that has started JAX or TensorFlow already. What the command
prints appears as it comes. A command ends when its caller does.
"""

import codecs
import os
import runpy
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Literal, TextIO

from mmgenre.errors import Interrupted, RunError, UserError

Shown = Literal["all", "progress", "nothing"]
"""Of what a command prints: results and progress, progress alone, or neither."""

_ERROR: Final = "error: "
_ROOT: Final = Path(__file__).parents[2]
"""Where both packages are, wherever the caller has them from."""


def run(module: str, arguments: Sequence[str], *, shown: Shown = "all") -> None:
    """Runs `python -m module arguments` to its end.

    Results go to `sys.stdout`, progress to `sys.stderr`. Ctrl-C is passed on: the command saves
    what it can, and then KeyboardInterrupt is raised. A second one stops it at once.

    Raises:
      UserError: what the command says of a mistake, in its words.
      RunError: it failed otherwise.
      Interrupted: somebody else has sent it a signal.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        process_group=0,  # Else a terminal's Ctrl-C would reach it twice.
    )
    assert process.stdout is not None and process.stderr is not None
    with process, selectors.DefaultSelector() as selector:
        results = _Lines(process.stdout, sys.stdout if shown == "all" else None)
        progress = _Lines(process.stderr, sys.stderr if shown != "nothing" else None)
        for lines in (results, progress):
            selector.register(lines.file, selectors.EVENT_READ, lines)
        is_interrupted = False
        try:
            while selector.get_map():
                try:
                    _show(selector)
                except KeyboardInterrupt:
                    is_interrupted = True
                    process.send_signal(signal.SIGINT)
        except BaseException:
            process.terminate()
            raise
    if is_interrupted:
        raise KeyboardInterrupt
    if process.returncode:
        raise _failure(module, process.returncode, progress.error)


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    unbuffered = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
    return {**os.environ, **unbuffered, "PYTHONPATH": path}


class _Lines:
    """Shows what comes out of a pipe, whole lines at a time, but for the line of an error.

    Attributes:
      file: the pipe.
      error: what that line says; "" where there is none.
    """

    def __init__(self, file: IO[bytes], out: TextIO | None):
        self.file, self.error = file, ""
        self._out, self._begun = out, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> bool:
        """Shows what there is; returns whether there may be more."""
        data = os.read(self.file.fileno(), 1 << 16)
        *lines, self._begun = (self._begun + self._decoder.decode(data)).split("\n")
        if not data and self._begun:
            lines.append(self._begun)
        for line in lines:
            if line.startswith(_ERROR):
                self.error = line.removeprefix(_ERROR)
            elif self._out is not None:
                print(line, file=self._out, flush=True)
        return bool(data)


def _show(selector: selectors.BaseSelector) -> None:
    for key, _ in selector.select():
        if not key.data.read():
            selector.unregister(key.fileobj)


def _failure(module: str, code: int, message: str) -> Exception:
    signum = code - 128 if code > 128 else -code
    if signum in (signal.SIGINT, signal.SIGTERM):
        name = signal.Signals(signum).name
        return Interrupted(signum, f"{name} has ended python -m {module}; call again to go on")
    if code == 2 and message:
        return UserError(message)
    return RunError(message or f"python -m {module} has ended with exit code {code}")


def _end_with_caller(pipe: int) -> None:
    os.read(pipe, 1)  # Nobody writes: it returns when the caller is gone.
    os.kill(os.getpid(), signal.SIGTERM)


def _run_here() -> None:
    """The process of the command: as if it had been started by itself, but for its caller."""
    module, *arguments = sys.argv[1:]
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    threading.Thread(target=_end_with_caller, args=(pipe,), daemon=True).start()
    sys.argv = [module, *arguments]
    sys.orig_argv[:] = [sys.executable, "-m", module, *arguments]  # For "go on with: ...".
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run_here()
