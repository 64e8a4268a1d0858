"""Temporary folders that a process leaves behind only until the next one starts.

A process that is killed by SIGKILL removes nothing, and a copied run is tens of MB. So each folder
has a lock, which the kernel lets go of when the process ends, and whoever makes the next folder
removes those of the same user whose lock is free. A folder without a lock is somebody else's.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "mmgenre-"
_LOCK: Final = ".mmgenre-lock"


class TemporaryFolder:
    """A new folder, of this user alone; locked until `close`, or until the process ends.

    Attributes:
      path: of the folder.
    """

    def __init__(self) -> None:
        """Removes what dead processes have left, too; raises OSError where none can be made."""
        remove_left(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        unlocked = self.path / f"{_LOCK}.new"
        self._lock = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError:  # A file system without locks: nobody must take this one's for free.
            return
        unlocked.rename(self.path / _LOCK)  # Locked before anybody can find it.

    def close(self) -> None:
        """Removes the folder and all that is in it; what cannot be removed stays."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def remove_left(parent: Path) -> None:
    """Removes this user's folders in `parent` whose processes have ended."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # It is gone, or has no lock.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # Its process is alive.
            continue
        finally:
            os.close(lock)
