"""Table on disk of what has become of each poster that was asked for: a rerun trusts it.

The table is an SQLite file in write-ahead mode: what has been committed survives a kill. Files are
stored before their rows, each under a temporary name and then renamed, so that a file under its own
name is whole even where the kill came before the row.
"""

import contextlib
import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from data_prep.posters.http_client import ADDRESSES, Answer
from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses

_DATABASE: Final = "manifest.sqlite"
_TABLE: Final = (
    "CREATE TABLE posters (path TEXT PRIMARY KEY, status TEXT NOT NULL,"
    " width TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID"
)
_IF_MISSING: Final = "TABLE IF NOT EXISTS"
_TEMPORARY: Final = "incoming"
_UNSTORABLE: Final = frozenset(
    (
        errno.ENAMETOOLONG,
        errno.ENOTDIR,  # /a.jpg/x.jpg where there is a file /a.jpg,
        errno.EEXIST,
        errno.EISDIR,  # and the other way round.
        errno.EINVAL,
        errno.EILSEQ,
    )
)
"""What is the matter with one poster's path, not with the disk."""


class Manifest:
    """The posters of one server and list of widths, in a folder of their own.

    Args:
      folder: gets the table and the files, laid out like the server: `<width><poster_path>`, and
        `addresses/<digest>` for posters that have an address of their own.
      widths: that are asked for, in order of preference.

    Attributes:
      folder: the same.
      widths: the same.
    """

    def __init__(self, folder: Path, widths: tuple[str, ...]):
        self.folder = folder
        self.widths = widths
        self._root = str(folder)
        incoming = folder / _TEMPORARY
        incoming.mkdir(parents=True, exist_ok=True)
        # Where files may be whose rows were not stored any more: not looked for one by one in vain.
        self._old_widths = [width for width in widths if (folder / width).is_dir()]
        for leftover in incoming.iterdir():
            if leftover.name.isascii() and leftover.name.isdigit() and not leftover.is_dir():
                leftover.unlink()
        self._number = 0
        with self._database_errors_named(), contextlib.ExitStack() as opened:
            self._connection = sqlite3.connect(folder / _DATABASE)
            opened.callback(self._connection.close)
            self._require_own_schema()
            self._connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                # The default, 1,000 pages, would wait for the disk at every few hundred posters.
                f"PRAGMA wal_autocheckpoint=20000; {_TABLE.replace('TABLE', _IF_MISSING, 1)};"
            )
            opened.pop_all()  # The manifest closes it.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._connection.close()

    def locate(self, poster_path: str) -> tuple[str, str] | None:
        """Returns (the stored file, "") or ("", why there is none); None where it is not known.

        A row whose file is gone or has another size is not believed; a file without a row is.
        """
        return self.locate_all([poster_path])[poster_path]

    def locate_all(self, poster_paths: Iterable[str]) -> dict[str, tuple[str, str] | None]:
        """Returns what `locate` says of each of up to a few thousand poster paths."""
        found: dict[str, tuple[str, str] | None] = dict.fromkeys(poster_paths)
        marks = ",".join("?" * len(found))
        query = f"SELECT path, status, width, size FROM posters WHERE path IN ({marks})"
        with self._database_errors_named():
            rows = self._connection.execute(query, [*found]).fetchall()
        unrecorded = set(found)
        for poster_path, status, width, size in rows:
            unrecorded.discard(poster_path)
            if not isinstance(status, str) or (
                not status and width not in (*self.widths, ADDRESSES)
            ):
                continue  # Of a table that is not as it was written.
            path = self._path(width, poster_path)
            if status:
                found[poster_path] = "", status
            elif _size(path) == size:
                found[poster_path] = path, ""
        for poster_path in unrecorded:
            for width in self._old_widths:
                path = self._path(width, poster_path)
                if _size(path) > 0:
                    found[poster_path] = path, ""
                    break
        return found

    def has_posters(self) -> bool:
        """Whether it knows of a poster that was had."""
        with self._database_errors_named():
            row = self._connection.execute("SELECT 1 FROM posters WHERE status = '' LIMIT 1")
            return row.fetchone() is not None

    def forget_failures(self, temporary_only: bool) -> None:
        """Deletes what is known of posters that were not had, so that they are asked for again."""
        condition = "status LIKE 'gave up%'" if temporary_only else "status <> ''"
        with self._database_errors_named(), self._connection:
            self._connection.execute(f"DELETE FROM posters WHERE {condition}")

    def store(self, answers: list[tuple[str, Answer]]) -> None:
        """Writes the files of some answers, then all their rows in one transaction.

        A path that the file system cannot hold costs its own poster: the row says so.

        Raises:
          OSError: the disk refuses.
          UserError: the table cannot be used.
        """
        rows = []
        for poster_path, answer in answers:
            status, width, size = answer.status, answer.width, len(answer.data or b"")
            if answer.data is not None:
                try:
                    self._write(self._path(width, poster_path), answer.data)
                except OSError as error:
                    if error.errno not in _UNSTORABLE:
                        raise
                    status, width, size = f"refused: cannot be stored: {error.strerror}", "", 0
            rows.append((poster_path, status, width, size))
        with self._database_errors_named(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO posters VALUES (?, ?, ?, ?)", rows)

    def _write(self, path: str, data: bytes | memoryview) -> None:
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

    def _require_own_schema(self) -> None:
        """Raises where there is another table, or a view or trigger that would run with ours."""
        self._connection.execute("PRAGMA trusted_schema=OFF")
        query = "SELECT sql FROM sqlite_master LIMIT 2"
        if self._connection.execute(query).fetchall() not in ([], [(_TABLE,)]):
            raise sqlite3.DatabaseError("it has not the table that was made")

    @contextlib.contextmanager
    def _database_errors_named(self) -> Iterator[None]:
        """Turns errors of the table into ones that say what to do."""
        path = self.folder / _DATABASE
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UserError(f"{path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path} is damaged ({error}); delete it: the posters that are stored beside it "
                "are kept and used"
            ) from error

    def _path(self, width: str, poster_path: str) -> str:
        if web_addresses.is_address(poster_path):
            name = hashlib.sha256(poster_path.encode()).hexdigest()[:40]
            return f"{self._root}/{ADDRESSES}/{name}"
        return f"{self._root}/{width}{poster_path}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
