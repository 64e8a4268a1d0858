"""Locks on files, which the kernel lets go of when the process ends, however it ends."""

import contextlib
import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FIRST: Final = "process "
"""What the content begins with."""

_log = logging.getLogger(__name__)


class InUseError(Exception):
    """Another process holds the lock; the message says which, as far as it is known."""


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds the lock of a file, which is made where it is missing.

    Some network file systems have no locks: there it warns, and goes on.

    Raises:
      InUseError: another process holds it.
      OSError: the file cannot be written, is a link, or was not written by this function.
    """
    with open(path, "a+", encoding="utf-8", opener=_open_no_link) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InUseError(file.read().strip() or "another process") from None
        except OSError as error:
            _log.warning(
                "cannot lock %s (%s): see to it that one process at a time uses %s",
                path,
                error.strerror,
                path.parent,
            )
        file.seek(0)
        if file.read(len(_FIRST)) not in ("", _FIRST):
            raise OSError(errno.EEXIST, "it is no lock but another file", str(path))
        file.truncate(0)
        file.write(f"{_FIRST}{os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def is_held(path: Path) -> bool:
    """Whether a process on this machine holds the lock of a file, which need not be there."""
    try:
        with open(path, encoding="utf-8", opener=_open_no_link) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
