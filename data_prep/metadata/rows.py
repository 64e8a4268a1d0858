"""Rows of a CSV file as it was downloaded: plain, gzip or zip, any line ends, damaged quoting."""

import contextlib
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from etils import epath

from mmgenre.errors import UserError

MAX_LINE: Final = 64 << 20
"""Characters of the longest line, and of the longest record, that is read."""

PREFERRED_MEMBER: Final = "movies_metadata.csv"
_BINARY: Final = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PAR1": "a Parquet file",
    b"SQLite": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
}


_DAMAGE: Final = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
"""Of archives, besides OSErrors without a number, which bzip2 and gzip raise."""


@contextlib.contextmanager
def open_text(path: epath.PathLike) -> Iterator[IO[str]]:
    """Opens a CSV file for reading, unpacking gzip and zip; damaged UTF-8 becomes U+FFFD.

    Raises:
      UserError: no such file, empty, a damaged archive, an archive without a CSV file, or a kind
        of file that is known to be no CSV. Also where unpacking fails later on.
    """
    path = epath.Path(path)
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            head = raw.read(8)
            raw.seek(0)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        if not head:
            raise UserError(f"{path} is empty; give the movies_metadata.csv of The Movies Dataset")
        for magic, kind in _BINARY.items():
            if head.startswith(magic):
                raise UserError(f"{path} is {kind}, not a CSV file")
        try:
            if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                raw = stack.enter_context(_open_member(raw, path))
            elif head.startswith(b"\x1f\x8b"):
                raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
            encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            yield io.TextIOWrapper(
                io.BufferedReader(raw, 1 << 20),
                encoding=encoding,
                errors="replace",
                newline="",
            )
        except OSError as error:
            if error.errno is not None:  # Of the disk, or of whoever reads the rows.
                raise
            raise _damaged(path, error) from error
        except _DAMAGE as error:
            raise _damaged(path, error) from error


def _damaged(path: epath.Path, error: Exception) -> UserError:
    return UserError(f"{path} is a damaged or truncated archive ({error}); download it again")


def _open_member(raw: IO[bytes], path: epath.Path) -> IO[bytes]:
    archive = zipfile.ZipFile(raw)
    names = [
        name
        for name in archive.namelist()
        if name.lower().endswith(".csv") and not name.startswith("__MACOSX/")
    ]
    preferred = [name for name in names if name.rpartition("/")[2].lower() == PREFERRED_MEMBER]
    if len(preferred or names) != 1:
        raise UserError(
            f"{path} holds {len(names)} CSV files and no single {PREFERRED_MEMBER} among them; "
            "unpack it and give the right file"
        )
    try:
        return archive.open((preferred or names)[0])
    except RuntimeError as error:  # Encrypted.
        raise UserError(f"{path} cannot be unpacked: {error}") from error


class BrokenRecord(list[str]):
    """A line that is no CSV record (its quoting is damaged), as one cell."""


def records(file: IO[str], name: str) -> Iterator[list[str]]:
    """Streams the records of a CSV file, header included; blank lines are skipped.

    A quote that is never closed would swallow the rest of the file into one cell, and with it the
    movies in there. So quoting is checked strictly, and where a record breaks a rule its first line
    comes back alone, as a `BrokenRecord`, and reading goes on with the line after it. Each line is
    read twice at most: what follows a line within quotes depends on the later lines alone, so that
    a record which would run into lines that have failed already is broken, too.

    Raises:
      UserError: a line of more than `MAX_LINE` characters.
    """
    csv.field_size_limit(MAX_LINE)
    lines = _Lines(file, name)
    while True:
        lines.start_record()
        try:
            row = next(csv.reader(lines, strict=True))
        except StopIteration:
            return
        except csv.Error:
            yield BrokenRecord([lines.rewind()])
            continue
        if row:
            yield row


class _Lines:
    """An iterator of lines that can go back to the second line of the current record.

    Lines to read again have failed within quotes: a record may begin there, none may run into them.
    """

    def __init__(self, file: IO[str], name: str):
        self._file = file
        self._name = name
        self._pending: list[str] = []  # Lines to read again, the next one last.
        self._taken: list[str] = []
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._taken and self._pending:
            raise csv.Error("an open quotation mark")
        line = self._pending.pop() if self._pending else self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) >= MAX_LINE:
            raise UserError(
                f"{self._name} has a line of more than {MAX_LINE:,} characters: not a CSV file"
            )
        self._taken.append(line)
        self._length += len(line)
        if self._length > MAX_LINE:
            raise csv.Error("record too long")
        return line

    def start_record(self) -> None:
        self._taken = []
        self._length = 0

    def rewind(self) -> str:
        """Puts back all lines of the record but the first, which it returns."""
        first, *others = self._taken
        self._pending.extend(reversed(others))
        return first
