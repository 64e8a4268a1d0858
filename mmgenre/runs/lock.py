"""One run on one run directory at a time."""

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files

LOCK_FILE: Final = "lock"

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(workdir: epath.Path) -> Iterator[None]:
    """Holds the lock of a run directory, which is made where it is missing.

    The kernel lets go of it when the process ends, however it ends. Object stores have no locks:
    there nothing is checked.

    Raises:
      UserError: another process holds it, or the folder cannot be written.
    """
    if files.is_remote(workdir) and not os.fspath(workdir).startswith("gs://"):
        raise UserError(
            f"cannot write the run directory {workdir}: Orbax writes checkpoints to file systems "
            "and gs:// only; choose a --workdir there (the data set may stay where it is)"
        )
    if files.is_remote(workdir):
        yield
        return
    path = workdir / LOCK_FILE
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = Path(path).open("a+", encoding="utf-8")  # noqa: SIM115 - closed below.
    except OSError as error:
        raise UserError(f"cannot write the run directory {workdir}: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"{workdir} is in use by {holder}; wait for it, end it, or choose another --workdir"
            ) from None
        except OSError as error:  # Some network file systems have no locks.
            _log.warning("cannot lock %s (%s): see to it that one run uses it", path, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
