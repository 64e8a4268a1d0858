"""Files that are whole or absent, and stages that are done once for the same inputs."""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import file_lock, folder_kinds

_BLOCK: Final = 1 << 20


def is_remote(path: epath.PathLike) -> bool:
    """Whether `path` is in an object store (`gs://`, `s3://`) instead of a file system."""
    return "://" in os.fspath(path)


@contextlib.contextmanager
def atomic_write(path: epath.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a file that appears under its name only when the block ends without an error.

    What a killed process leaves behind is a hidden temporary file beside it, never a half file.
    """
    path = epath.Path(path)
    encoding = {} if "b" in mode else {"encoding": "utf-8"}
    if is_remote(path):  # Object stores show a file only once it is whole.
        with path.open(mode, **encoding) as file:
            yield file
        return
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with path_open(temporary, mode, **encoding) as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def path_open(path: epath.Path, mode: str, **options: Any) -> IO[Any]:
    """Opens a file; raises UserError where the disk refuses."""
    try:
        return path.open(mode, **options)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror or error}") from error


def write_json(path: epath.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    with atomic_write(path, "w") as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def file_digest(path: epath.PathLike) -> str:
    """SHA-256 of a file of any size, in hexadecimal."""
    digest = hashlib.sha256()
    with epath.Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digest(*parts: Any) -> str:
    """A short digest of JSON values, to tell whether a stage's inputs have changed."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()[
        :32
    ]


def make_folder(path: epath.PathLike) -> epath.Path:
    """Makes a folder and those above it; raises UserError where the disk refuses."""
    path = epath.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror or error}") from error
    return path


class Workspace:
    """The folder that keeps each stage's results, and under which inputs each was made.

    Only one process at a time may use it. A context manager.

    Raises:
      UserError: the folder cannot be made, is of another kind, or another process uses it.
    """

    def __init__(self, path: epath.PathLike):
        folder_kinds.require(path, folder_kinds.WORKSPACE, "--work")
        self.path = make_folder(path)
        self._until_end = contextlib.ExitStack()
        if is_remote(self.path):
            return
        try:
            self._until_end.enter_context(file_lock.held(Path(self.path / "lock")))
        except file_lock.InUseError as error:
            raise UserError(
                f"another preparation is at work in {self.path} ({error}); wait for it, or give "
                "another folder with --work"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._until_end.close()

    def local_folder(self, name: str) -> Path:
        """Makes a folder in the workspace; raises UserError where that is in an object store."""
        if is_remote(self.path):
            raise UserError(
                f"{self.path} is in an object store; give a folder on a local disk with --work"
            )
        folder = Path(self.path) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def outcome(self, stage: str, key: str) -> dict[str, Any] | None:
        """What `finish` was given for this stage and key; None where it must be done (again)."""
        try:
            marker = json.loads((self.path / f"{stage}.json").read_text("utf-8"))
            return marker["outcome"] if marker["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, stage: str, key: str, outcome: dict[str, Any]) -> None:
        """Marks a stage as done, as the last thing it does."""
        write_json(self.path / f"{stage}.json", {"key": key, "outcome": outcome})


def sweep(folder: epath.Path) -> None:
    """Deletes the temporary files that a killed process left in a folder."""
    if not is_remote(folder):
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
