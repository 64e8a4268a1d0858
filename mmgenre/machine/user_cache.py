"""This user's cache: results that are dear to compute and safe to lose.

`$XDG_CACHE_HOME/mmgenre`, `~/.cache/mmgenre` by default. A cache must never be what a command fails
of: where its folder cannot be written, or is somebody else's, there is none.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def root(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of all caches; raises RuntimeError where there is no home."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmgenre"


def make(folder: Path) -> None:
    """Makes a folder in `root` that no other user reads or writes.

    Raises:
      OSError: it cannot be made or written, or somebody else owns it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (is_own(folder.parent) and is_own(folder)):
        raise PermissionError(f"{folder} is not this user's")
    folder.chmod(0o700)
    tempfile.TemporaryFile(dir=folder).close()  # Says more than the permissions do.


def is_own(folder: Path) -> bool:
    """Whether a folder is this user's, and so is a link to it.

    Whoever owns it could put there what this user would use: $XDG_CACHE_HOME may be /tmp.
    """
    return {folder.lstat().st_uid, folder.stat().st_uid} == {os.geteuid()}


def delete_oldest(folder: Path, pattern: str, max_bytes: int) -> None:
    """Deletes the oldest files beyond `max_bytes` in all; raises OSError where it cannot."""
    found = [(path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob(pattern)]
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= max_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
