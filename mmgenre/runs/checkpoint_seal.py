"""The seal of a checkpoint: a list of its files, by which damage to one is noticed."""

import json
from collections.abc import Iterator
from typing import Final

import google_crc32c
from etils import epath

from mmgenre.machine import files

SEAL: Final = "files.json"
"""Lists a complete checkpoint's files: their sizes, and of the small ones the CRC-32C."""

_SMALL: Final = 1 << 20  # Larger files hold values, which `checkpoint_format.tree_digest` covers.


def seal(path: epath.Path) -> None:
    """Writes down what files a complete checkpoint has."""
    found = sorted(_files(path, ""))
    files.write_json(path / SEAL, {name: _size_and_crc(file) for name, file in found})


def broken_file(path: epath.Path) -> str:
    """Returns which file of a sealed checkpoint is not as it was, and how; empty if none."""
    if not (path / SEAL).exists():  # The run was killed before it could be sealed.
        return ""
    try:
        for name, (size, crc) in json.loads((path / SEAL).read_text("utf-8")).items():
            if not (path / name).exists():
                return f"its file {name} is missing"
            actual_size, actual_crc = _size_and_crc(path / name)
            if actual_size != size:
                return f"its file {name} has {actual_size} bytes instead of {size}"
            if actual_crc != crc:
                return f"its file {name} was changed"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"its file {SEAL} cannot be read: {error}"
    return ""


def _size_and_crc(file: epath.Path) -> tuple[int, int | None]:
    size = files.size(file)
    return size, google_crc32c.value(file.read_bytes()) if size < _SMALL else None


def _files(path: epath.Path, prefix: str) -> Iterator[tuple[str, epath.Path]]:
    for file in path.iterdir():
        if file.is_dir():
            yield from _files(file, f"{prefix}{file.name}/")
        elif SEAL not in file.name:
            yield f"{prefix}{file.name}", file
