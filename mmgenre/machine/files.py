"""Files on object stores (gs://, s3://), for what local file systems do and they cannot.

`epath` reads, writes and lists them like local ones. They cannot be memory-mapped, and what is
written to them appears when it is complete: nothing can be appended.
"""

import contextlib
import io
import os
import tempfile
import time
from typing import IO, Final, Protocol

import numpy as np
from etils import epath
from etils.epath import backend, gpath

from mmgenre.errors import UserError


@epath.register_path_cls("s3://")
class _S3Path(gpath.PosixGPath):
    """`epath` goes through TensorFlow where that is installed, which has no s3:// any more."""

    _backend = backend.fsspec_backend


_UPLOAD_EVERY_S: Final = 30.0
_COPY_BYTES: Final = 1 << 24


def is_remote(path: epath.PathLike) -> bool:
    """Whether the path is on an object store."""
    return "://" in os.fspath(path)


def require_folder(path: epath.Path) -> None:
    """Raises UserError where a local file cannot be made because its folder is not there.

    For commands that compute for long before they write. Object stores have no folders.
    """
    if not is_remote(path) and not path.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")


def path(text: epath.PathLike) -> epath.Path:
    """Returns the path; through here, so that s3:// has been registered."""
    return epath.Path(text)


def map_bytes(path: epath.Path) -> np.ndarray:
    """Returns a file's bytes <uint8>[size], mapped into memory, not read.

    A remote file is copied into the temporary folder ($TMPDIR) first. The copy's name is removed at
    once, so that it vanishes with the process, however that ends.

    Raises:
      OSError, ValueError: the file is missing, empty or cannot be read.
    """
    if not is_remote(path):
        return np.memmap(path, np.uint8, "r")
    with tempfile.NamedTemporaryFile() as copy, path.open("rb") as file:
        while chunk := file.read(_COPY_BYTES):
            copy.write(chunk)
        copy.flush()
        return np.memmap(copy.name, np.uint8, "r")


class Appendable(Protocol):
    """A text file that only grows."""

    def write(self, text: str, /) -> object:
        """Adds text at the end."""

    def flush(self) -> None:
        """Makes what was written survive this process."""

    def close(self) -> None:
        """Flushes and closes."""


def open_append(path: epath.Path) -> Appendable:
    """Opens a text file to add to its end; a remote one is uploaded whole, by and by."""
    return _RemoteText(path) if is_remote(path) else path.open("a")


class _RemoteText(io.StringIO):
    """Text that is uploaded whole: by `sync`, `close`, and now and then by `flush`."""

    def __init__(self, path: epath.Path):
        super().__init__()
        self._path = path
        self._uploaded = 0.0
        if path.exists():
            self.write(path.read_text())

    def flush(self) -> None:
        if time.monotonic() - self._uploaded >= _UPLOAD_EVERY_S:
            self.upload()

    def upload(self) -> None:
        """Uploads now."""
        self._path.write_text(self.getvalue())
        self._uploaded = time.monotonic()

    def close(self) -> None:
        if not self.closed:
            self.upload()
        super().close()


def sync(file: Appendable | IO[str]) -> None:
    """Flushes a file of `open_append` down to the disk or the store."""
    if isinstance(file, _RemoteText):
        file.upload()
        return
    file.flush()
    with contextlib.suppress(OSError, AttributeError):  # Not every file has a descriptor.
        os.fsync(file.fileno())
