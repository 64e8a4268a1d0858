"""`SHA256SUMS`: of the files beside the shards, in the form that `sha256sum -c` checks.

The shards are not among them: each of their records has CRCs of its own.
"""

import os
import stat
from collections.abc import Iterator
from typing import Final

from etils import epath

from data_prep.workspace.stages import file_digest
from mmgenre.machine import files

FILE: Final = "SHA256SUMS"
_MAX_BYTES: Final = 1 << 20


def write(folder: epath.Path) -> None:
    """Writes the checksums of a data set's files, but for shards and hidden ones."""
    names = sorted(
        path.name
        for path in folder.iterdir()
        if not path.is_dir()
        and not path.name.startswith(".")
        and ".tfrecord-" not in path.name
        and path.name != FILE
    )
    lines = [f"{file_digest(folder / name)}  {name}\n" for name in names]
    files.write_text(folder / FILE, "".join(lines))


def check(folder: epath.Path) -> Iterator[str]:
    """Yields a line for each file that is gone or changed."""
    if not (folder / FILE).exists():
        return
    with (folder / FILE).open("rb") as file:
        listed = file.read(_MAX_BYTES).decode("utf-8", "replace")
    for line in listed.splitlines():
        digest, _, name = line.partition("  ")
        if not _is_own_file(folder, name):
            yield f"{name!r} is no file of the data set ({FILE} was changed)"
            continue
        try:
            actual = file_digest(folder / name)
        except (OSError, ValueError):
            yield f"{name}: missing or unreadable"
            continue
        if actual != digest:
            yield f"{name}: changed since it was written (or {FILE} was)"


def _is_own_file(folder: epath.Path, name: str) -> bool:
    """Whether a name is that of a plain file in the folder: no other place, device or link."""
    if not name or name != name.strip() or {"/", "\\", "\0"} & set(name) or name in (".", ".."):
        return False
    path = folder / name
    # A remote folder has no links and no devices.
    return "://" in str(path) or not os.path.lexists(path) or stat.S_ISREG(os.lstat(path).st_mode)
