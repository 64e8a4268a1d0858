"""What proves that a checkpoint on disk is the one that was saved: its values and its files."""

import json
from collections.abc import Iterator
from typing import Any, Final

import google_crc32c
import jax
import numpy as np
from etils import epath

from mmgenre.distributed import device_mapping
from mmgenre.runs.directory import write_json

SEAL: Final = "files.json"
"""Lists a complete checkpoint's files: their sizes, and of the small ones the CRC-32C."""

_SMALL: Final = 1 << 20  # Larger files hold values, which `tree_digest` covers.


def tree_digest(tree: Any) -> int:
    """Returns the CRC-32C over the names, shapes, dtypes and bytes of all leaves of a pytree."""
    crc = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        value = np.ascontiguousarray(device_mapping.host_value(leaf))
        name = f"{jax.tree_util.keystr(path)} {value.shape} {value.dtype}"
        crc = google_crc32c.extend(crc, name.encode())
        crc = google_crc32c.extend(crc, value.tobytes())
    return crc


def seal(path: epath.Path) -> None:
    """Writes down what files a complete checkpoint has."""
    write_json(path / SEAL, {name: _size_and_crc(file) for name, file in _files(path, "")})


def broken_file(path: epath.Path) -> str:
    """Returns which file of a sealed checkpoint is not as it was, and how; empty if none."""
    if not (path / SEAL).exists():  # The run was killed before it could be sealed.
        return ""
    try:
        for name, (size, crc) in json.loads((path / SEAL).read_text()).items():
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
    size = file.stat().length
    return size, google_crc32c.value(file.read_bytes()) if size < _SMALL else None


def _files(path: epath.Path, prefix: str) -> Iterator[tuple[str, epath.Path]]:
    for file in path.iterdir():
        if file.is_dir():
            yield from _files(file, f"{prefix}{file.name}/")
        elif not file.name.startswith(SEAL):
            yield f"{prefix}{file.name}", file
