"""Records of a CSV file: any delimiter, any line ends, damaged quoting."""

import csv
from collections.abc import Iterator
from typing import IO, Final

from mmgenre.errors import UserError

MAX_LINE: Final = 64 << 20
"""Characters of the longest line, and of the longest record, that is read."""


class BrokenRecord(list[str]):
    """A line that is no CSV record (its quoting is damaged), as one cell."""


def records(
    file: IO[str], name: str, delimiter: str = ",", *, quoted: bool = True
) -> Iterator[list[str]]:
    """Streams the records of a CSV file, header included; blank lines are skipped.

    A quote that is never closed would swallow the rest of the file into one cell, and with it the
    movies in there. So quoting is checked strictly, and where a record breaks a rule its first line
    comes back alone, as a `BrokenRecord`, and reading goes on with the line after it. Each line is
    read twice at most: what follows a line within quotes depends on the later lines alone, so that
    a record which would run into lines that have failed already is broken, too.

    Args:
      file: opened with newline="".
      name: of the file, for errors.
      delimiter: between cells.
      quoted: False where quotation marks are letters like others, as in IMDb's tables.

    Raises:
      UserError: a line of more than `MAX_LINE` characters.
    """
    csv.field_size_limit(MAX_LINE)
    dialect = _dialect(delimiter, quoted)
    lines = _Lines(file, name)
    while True:
        lines.start_record()
        try:
            row = next(csv.reader(lines, dialect))
        except StopIteration:
            return
        except csv.Error:
            yield BrokenRecord([lines.rewind()])
            continue
        if row:
            yield row


def _dialect(of_cells: str, quoted: bool) -> type[csv.Dialect]:
    class Strict(csv.Dialect):
        delimiter = of_cells
        quotechar = '"'
        doublequote = True
        lineterminator = "\n"
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        strict = True

    return Strict


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
