"""Files that are whole or absent, files that must not be there yet, and files on object stores.

`epath` reads, writes and lists object stores (gs://, s3://) like local folders. Their files cannot
be memory-mapped, and what is written to them appears when it is complete: nothing can be appended.
"""

import contextlib
import fcntl
import glob
import io
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Any, Final, Protocol

import numpy as np
from etils import epath
from etils.epath import backend, gpath

from mmgenre.errors import UserError


@epath.register_path_cls("s3://")
class _S3Path(gpath.PosixGPath):
    """`epath` goes through TensorFlow where that is installed, which has no s3:// any more."""

    _backend = backend.fsspec_backend


_TEMPORARY: Final = ".tmp"
_OWN_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
"""Names that `_temporary` gives: only they are taken for what a killed process left."""

_LONGEST_NAME: Final = 40
_LOCKED_WITHIN_S: Final = 1.0
"""A folder that is being made is locked by then."""

_UPLOAD_EVERY_S: Final = 30.0
_COPY_BYTES: Final = 1 << 24


def is_remote(path: epath.PathLike) -> bool:
    """Whether the path is on an object store."""
    return "://" in os.fspath(path)


def path(text: epath.PathLike) -> epath.Path:
    """Returns the path; through here, so that s3:// has been registered."""
    return epath.Path(text)


def size(path: epath.PathLike) -> int:
    """Returns a file's bytes; raises OSError where it is not there.

    `epath.Path.stat` looks the owner's name up, too, and fails for a user id that has none, as
    containers have.
    """
    return epath.Path(path).stat().length if is_remote(path) else os.stat(path).st_size


@contextlib.contextmanager
def replacing(path: epath.PathLike) -> Iterator[epath.Path]:
    """Gives the name to write a file under, which gets its own only when the block ends well.

    What a killed process leaves behind is a hidden temporary file beside it, never a half file.
    """
    path = epath.Path(path)
    if is_remote(path):  # Object stores show a file only once it is whole.
        yield path
        return
    temporary = _temporary(path)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_write(path: epath.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a file that appears under its name only when the block ends without an error."""
    encoding = {} if "b" in mode else {"encoding": "utf-8"}
    with replacing(path) as temporary, temporary.open(mode, **encoding) as file:
        yield file


def write_bytes(path: epath.PathLike, data: bytes) -> None:
    """Writes a file that is either whole or not there."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: epath.PathLike, text: str) -> None:
    """Writes a UTF-8 file that is either whole or not there."""
    write_bytes(path, text.encode())


def write_json(path: epath.PathLike, value: Any) -> None:
    """Writes an indented JSON file that is either whole or not there."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_folder(folder: epath.PathLike, *, renew: bool = False) -> Iterator[epath.Path]:
    """Makes a local folder that appears under its name only when the block ends without an error.

    Args:
      folder: its name; must not exist, or be empty.
      renew: replace a folder of this name.
    """
    folder = epath.Path(folder)
    _remove_abandoned(folder)
    temporary = _temporary(folder)
    try:
        temporary.mkdir(parents=True)
        with contextlib.ExitStack() as until_done:
            with contextlib.suppress(OSError):  # Not every file system has locks.
                until_done.enter_context(_locked(temporary))
            yield temporary
            if renew:
                _remove(folder)
            os.replace(temporary, folder)  # `epath` refuses an empty folder.
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(folder: epath.Path) -> None:
    """Removes what killed processes left of a folder that they were making."""
    for leftover in folder.parent.glob(f".{glob.escape(_shortened(folder))}.????????{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            if not _OWN_TEMPORARY.fullmatch(leftover.name):
                continue
            if time.time() - os.lstat(leftover).st_mtime > _LOCKED_WITHIN_S:
                with _locked(leftover):  # Else another process is making it now.
                    shutil.rmtree(leftover)


def _remove(folder: epath.Path) -> None:
    """Removes a folder, or a link of its name, but not what that points at."""
    if os.path.islink(folder):
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: epath.Path) -> Iterator[None]:
    """Holds a lock that the kernel lets go of when the process ends, however it ends.

    Raises:
      BlockingIOError: another process holds it.
      OSError: it is no folder, or a link to one, or the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def sweep(folder: epath.PathLike, older_than_s: float = 0.0) -> None:
    """Deletes the temporary files that killed processes left in a folder; of links, no more.

    Args:
      folder: where to look.
      older_than_s: leaves what other processes may be writing right now.
    """
    if is_remote(folder):
        return
    for leftover in epath.Path(folder).glob(f".*{_TEMPORARY}"):
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(leftover)
            if not _OWN_TEMPORARY.fullmatch(leftover.name):
                continue
            if time.time() - status.st_mtime < older_than_s:
                continue
            if stat.S_ISDIR(status.st_mode):
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def require_new(path: epath.PathLike, otherwise: str = "choose another --out") -> None:
    """Raises UserError where something is in the way of a file or folder that is to be made.

    Args:
      path: its name.
      otherwise: what to do instead of removing what is there.
    """
    if epath.Path(path).exists() or (not is_remote(path) and os.path.lexists(path)):
        raise UserError(f"{path} exists; remove it or {otherwise}")


def require_folder(path: epath.PathLike) -> None:
    """Raises UserError where a local file cannot be made because its folder is not there.

    For commands that compute for long before they write. Object stores have no folders.
    """
    if not is_remote(path) and not epath.Path(path).absolute().parent.is_dir():
        parent = epath.Path(path).absolute().parent
        raise UserError(f"cannot write {path}: there is no folder {parent}")


def _temporary(path: epath.Path) -> epath.Path:
    return path.with_name(f".{_shortened(path)}.{secrets.token_hex(4)}{_TEMPORARY}")


def _shortened(path: epath.Path) -> str:
    return path.name[:_LONGEST_NAME]  # With the rest, a file system must still take it.


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
    return _RemoteText(path) if is_remote(path) else path.open("a", encoding="utf-8")


class _RemoteText(io.StringIO):
    """Text that is uploaded whole: by `sync`, `close`, and now and then by `flush`."""

    def __init__(self, path: epath.Path):
        super().__init__()
        self._path = path
        self._uploaded = 0.0
        if path.exists():
            self.write(path.read_text("utf-8"))

    def flush(self) -> None:
        if time.monotonic() - self._uploaded >= _UPLOAD_EVERY_S:
            self.upload()

    def upload(self) -> None:
        """Uploads now."""
        self._path.write_text(self.getvalue(), "utf-8")
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
    descriptor = getattr(file, "fileno", None)  # Not every file has one.
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.fsync(descriptor())
