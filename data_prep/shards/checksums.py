"""`SHA256SUMS`: of the files beside the shards, in the form that `sha256sum -c` checks.

The shards are not among them: each of their records has CRCs of its own.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from etils import epath

from data_prep.workspace import storage

FILE: Final = "SHA256SUMS"


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
    lines = [f"{storage.file_digest(folder / name)}  {name}\n" for name in names]
    with storage.atomic_write(folder / FILE, "w") as file:
        file.writelines(lines)


def check(folder: epath.Path) -> Iterator[str]:
    """Yields a line for each file that is gone or changed."""
    if not (folder / FILE).exists():
        return
    for line in (folder / FILE).read_bytes().decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        try:
            actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except (OSError, ValueError):
            yield f"{name}: missing or unreadable"
            continue
        if actual != digest:
            yield f"{name}: changed since it was written (or {FILE} was)"
