"""A folder on an object store, through fsspec: its files are listed, fetched, sent and deleted."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from etils import epath

from mmgenre.errors import RunError, UserError, first_line
from mmgenre.machine import files

_WRITTEN_DIRECTLY: Final = "gs://"
"""Orbax writes checkpoints there by itself."""


def is_mirrored(path: epath.PathLike) -> bool:
    """Whether a run cannot be written there but has to be sent there, as to s3://."""
    return files.is_remote(path) and not os.fspath(path).startswith(_WRITTEN_DIRECTLY)


class StoredFolder:
    """A folder on an object store; a file of it appears whole, or not at all."""

    def __init__(self, address: str):
        """Connects to nothing yet; raises UserError where the package for the store is missing."""
        self.address = address.rstrip("/")
        try:
            import fsspec.core  # Here: whoever stays on this machine needs none.

            system, root = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"cannot open {address}: {first_line(error)}; pip install -e '.[remote]' brings "
                "what s3:// needs"
            ) from error
        self._system: Any = system
        self._root = root.rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self._root.rpartition("/")[2]

    def list_files(self) -> dict[str, str]:
        """Returns what tells versions of a file apart, by its name below the folder."""
        self._system.invalidate_cache()
        found = self._system.find(self._root, detail=True)
        names = {path.removeprefix(f"{self._root}/"): entry for path, entry in found.items()}
        return {
            name: f"{entry['size']} {entry.get('ETag')}"
            for name, entry in names.items()
            if _is_below(name)
        }

    def read(self, name: str) -> bytes | None:
        """Returns a file's bytes, None where there is no such file."""
        try:
            data: bytes = self._system.cat_file(f"{self._root}/{name}")
            return data
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file."""
        self._system.pipe_file(f"{self._root}/{name}", data)

    def fetch(self, name: str, target: Path) -> None:
        """Copies a file to this machine, whole or not at all."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(target) as temporary:
            self._system.get_file(f"{self._root}/{name}", os.fspath(temporary))

    def send(self, source: Path, name: str) -> None:
        """Copies a file of this machine there."""
        self._system.put_file(os.fspath(source), f"{self._root}/{name}")

    def delete(self, names: Iterable[str]) -> None:
        """Deletes files, one after the other; those that are gone already count as deleted."""
        for name in names:
            try:
                self._system.rm_file(f"{self._root}/{name}")
            except FileNotFoundError:
                continue


@contextlib.contextmanager
def explained(doing: str, address: str) -> Iterator[None]:
    """Turns what goes wrong with the store into a UserError of one line."""
    try:
        yield
    except (UserError, RunError):
        raise
    except Exception as error:  # Those of fsspec, of botocore, and of the sockets below.
        raise UserError(
            f"cannot {doing} {address}: {first_line(error)}; see that the bucket exists and that "
            "the credentials in this environment allow it"
        ) from error


def _is_below(name: str) -> bool:
    """Whether a name stays in the folder: a store takes any, "../x" and "/x" among them."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts
