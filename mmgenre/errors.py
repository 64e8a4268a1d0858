"""Errors of commands: one line that says what is wrong, where, and what to do.

Exit codes: 0 done, 2 the user's mistake (`UserError`), 128 + the signal's number after an
interruption (130 for SIGINT, 143 for SIGTERM), 75 where another process of the run was lost
(`LOST_CODE`), 1 anything else.
"""

import errno
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

LOST_CODE: Final = 75
"""EX_TEMPFAIL of sysexits.h, "try again later"; `mmgenre.distributed.peer_watch` ends with it.

Whoever starts the run again need not count this as a failure: all processes had met.
"""


_copies: dict[str, str] = {}


def call_copy(folder: Path, address: str) -> None:
    """From now on a `UserError` calls a folder, and what is in it, by the address it is a copy of.

    The user knows nothing of the copy, which is soon gone.
    """
    _copies[str(folder)] = address.rstrip("/")


class UserError(Exception):
    """A mistake that the user can mend: the message says what is wrong, where, and what to do."""

    def __init__(self, message: str = ""):
        for folder, address in _copies.items():
            message = str(message).replace(folder, address)
        super().__init__(message)


class RunError(Exception):
    """A run that cannot go on through no mistake on the command line: a full disk, a lost process.

    The message says what happened, what is safe, and what to do.
    """


class Interrupted(Exception):
    """A signal ended the run after everything was saved.

    Attributes:
      signum: the signal's number.
    """

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum


def report(error: Exception) -> int:
    """Prints what went wrong on stderr, foreseen errors in one line; returns the exit code."""
    if isinstance(error, Interrupted):
        print(f"{signal.Signals(error.signum).name}: {error}", file=sys.stderr)
        return 128 + error.signum
    if isinstance(error, UserError):
        return _fail(str(error), 2)
    if isinstance(error, RunError):
        return _fail(str(error), 1)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _fail(f"{error}; free some space and run the same command again", 1)
    if _is_about_jax_settings(error):
        return _fail(f"a setting of JAX in the environment is malformed: {error}; unset it", 2)
    traceback.print_exception(error)
    return 1


def _is_about_jax_settings(error: Exception) -> bool:
    """JAX reads its variables while it is imported, and its message names the one."""
    frames = traceback.extract_tb(error.__traceback__)
    names = {Path(frame.filename).parts[-3:] for frame in frames}
    return (
        isinstance(error, ValueError)
        and ("jax", "_src", "config.py") in names
        and any(frame.line.startswith("import jax") for frame in frames if frame.line)
    )


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def first_line(error: BaseException) -> str:
    """Returns what an error says, in one line; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
