"""What has become of each poster that was asked for: a table on disk that a rerun trusts.

The table is an SQLite file in write-ahead mode: what has been committed survives a kill. Files are
stored before their rows, each under a temporary name and then renamed, so that a file under its own
name is whole even where the kill came before the row.
"""

import os
import sqlite3
import time
from pathlib import Path
from typing import Final, Self

from data_prep.http_client import Answer
from mmgenre.errors import UserError

_DATABASE: Final = "manifest.sqlite"
_TEMPORARY: Final = "incoming"
_BATCH: Final = 64  # Answers that are stored at a time,
_BATCH_SECONDS: Final = 0.5  # or those of this time.


class Manifest:
    """The posters of one server and list of widths, in a folder of their own.

    Args:
      folder: gets the table and the files, laid out like the server: `<width><poster_path>`.
      widths: that are asked for, in order of preference.
    """

    def __init__(self, folder: Path, widths: tuple[str, ...]):
        self.folder = folder
        self._widths = widths
        self._root = str(folder)
        incoming = folder / _TEMPORARY
        incoming.mkdir(parents=True, exist_ok=True)
        for leftover in incoming.iterdir():
            leftover.unlink()
        self._connection = sqlite3.connect(folder / _DATABASE)
        self._number = 0
        try:
            self._connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                # The default, 1,000 pages, would wait for the disk at every few hundred posters.
                "PRAGMA wal_autocheckpoint=20000;"
                "CREATE TABLE IF NOT EXISTS posters (path TEXT PRIMARY KEY, status TEXT NOT NULL,"
                " width TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;"
            )
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{folder / _DATABASE} is damaged ({error}); delete it: the posters that are "
                "stored beside it are kept and used"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._connection.close()

    def locate(self, poster_path: str) -> tuple[str, str] | None:
        """Returns (the stored file, "") or ("", why there is none); None where it is not known.

        A row whose file is gone or has another size is not believed; a file without a row is.
        """
        row = self._connection.execute(
            "SELECT status, width, size FROM posters WHERE path = ?", (poster_path,)
        ).fetchone()
        if row is not None:
            status, width, size = row
            if status:
                return "", status
            path = self._path(width, poster_path)
            return (path, "") if _size(path) == size else None
        for width in self._widths:
            path = self._path(width, poster_path)
            if _size(path) > 0:
                return path, ""
        return None

    def forget_failures(self, temporary_only: bool) -> None:
        """Deletes what is known of posters that were not had, so that they are asked for again."""
        condition = "status LIKE 'gave up%'" if temporary_only else "status <> ''"
        with self._connection:
            self._connection.execute(f"DELETE FROM posters WHERE {condition}")

    def store(self, answers: list[tuple[str, Answer]]) -> None:
        """Writes the files of some answers, then all their rows in one transaction."""
        rows = []
        for poster_path, answer in answers:
            if answer.data is not None:
                self._write(self._path(answer.width, poster_path), answer.data)
            size = len(answer.data or b"")
            rows.append((poster_path, answer.status, answer.width, size))
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO posters VALUES (?, ?, ?, ?)", rows)

    def _write(self, path: str, data: bytes) -> None:
        self._number += 1
        temporary = f"{self._root}/{_TEMPORARY}/{self._number}"
        # A third of the time that a file object takes, and this is done for every poster.
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.replace(temporary, path)

    def _path(self, width: str, poster_path: str) -> str:
        return f"{self._root}/{width}{poster_path}"


class Storing:
    """Stores answers, many in one transaction. A context manager.

    It does so in the event loop, which stands still for some milliseconds a batch. A thread was
    tried and was no faster: each of its system calls gives up the interpreter's lock and has to
    wait for the loop to get it back.

    Attributes:
      pending: poster paths whose answers are awaited, or wait to be stored.
    """

    def __init__(self, manifest: Manifest):
        self.pending: set[str] = set()
        self._manifest = manifest
        self._batch: list[tuple[str, Answer]] = []
        self._batch_start = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._store()

    def put(self, poster_path: str, answer: Answer) -> None:
        """Takes an answer; raises UserError where the disk refuses."""
        now = time.monotonic()
        if not self._batch:
            self._batch_start = now
        self._batch.append((poster_path, answer))
        if len(self._batch) >= _BATCH or now - self._batch_start > _BATCH_SECONDS:
            self._store()

    def _store(self) -> None:
        batch, self._batch = self._batch, []
        try:
            self._manifest.store(batch)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"cannot store posters in {self._manifest.folder}: {error}") from error
        self.pending.difference_update([poster_path for poster_path, _ in batch])


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
