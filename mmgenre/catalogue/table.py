"""A catalogue as a table: its columns, and its rows one at a time, whatever form it has."""

import contextlib
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol, cast

from etils import epath

from mmgenre.catalogue import csv_records, json_records
from mmgenre.catalogue.columns import is_known
from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.encoding import Encoding, find_encoding
from mmgenre.catalogue.form import SAMPLE, Form, find_form
from mmgenre.catalogue.movie_folder import MovieFolder, is_movie_folder
from mmgenre.catalogue.picture_folder import PictureFolder, is_picture_folder
from mmgenre.catalogue.source import Source, find_source
from mmgenre.errors import UserError

_NAMES_FROM = 1_000  # Objects of JSON whose fields are taken for the columns.


class Table(Protocol):
    """An opened catalogue.

    Attributes:
      form: how it is written, in words.
      notes: what a reader should know of it, such as an encoding that is not UTF-8.
      columns: names, in order.
    """

    form: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """Yields the cells of the columns `names` of each row, or a `DamagedRow`; once only.

        A cell is a text, or a value of JSON or Parquet; None where there is none.

        Raises:
          UserError: the file is damaged.
        """
        ...


@contextlib.contextmanager
def open_table(path: epath.PathLike) -> Iterator[Table]:
    """Opens a catalogue of any form: CSV, JSON lines, a JSON array, Parquet; packed or not.

    Raises:
      UserError: it cannot be read, or is of no such form; also while it is read.
    """
    if is_movie_folder(path):
        yield MovieFolder(path)
        return
    if is_picture_folder(path):
        yield PictureFolder(path)
        return
    source = find_source(path)
    if source.is_parquet:
        from mmgenre.catalogue.parquet_table import ParquetTable

        with source.open() as raw:
            yield ParquetTable(raw, str(source))
        return
    with source.open() as raw:
        encoding = find_encoding(raw)
    with source.open() as raw, _as_text(raw, encoding) as file:
        sample = file.read(SAMPLE)
        form = find_form(sample, is_known)
    with source.open() as raw, _as_text(raw, encoding) as file:
        if form.kind == "csv":
            yield CsvTable(file, source, form, encoding)
        else:
            yield JsonTable(file, source, form, encoding)


def _as_text(raw: IO[bytes], encoding: Encoding) -> io.TextIOWrapper:
    buffered = io.BufferedReader(cast(io.RawIOBase, raw), 1 << 20)
    return io.TextIOWrapper(buffered, encoding=encoding.name, errors="replace", newline="")


class CsvTable:
    """See `Table`."""

    def __init__(self, file: IO[str], source: Source, form: Form, encoding: Encoding):
        """Reads the header."""
        self.form = str(form)
        self.notes: tuple[str, ...] = (encoding.note,) if encoding.note else ()
        self._records = csv_records.records(file, str(source), form.delimiter, quoted=form.quoted)
        header = [name.strip() for name in next(self._records, [])]
        while header and not header[-1]:
            header.pop()
        self.columns = tuple(header)

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """See `Table`."""
        places = [self.columns.index(name) for name in names]
        width = len(self.columns)
        for record in self._records:
            if len(record) == width:
                yield [record[place] for place in places]
            elif isinstance(record, csv_records.BrokenRecord):
                yield DamagedRow(record, "not CSV: damaged quoting")
            elif len(record) < width:
                yield DamagedRow(record, "shifted columns: too few cells")
            elif any(record[width:]):
                yield DamagedRow(record, "shifted columns: too many cells")
            else:
                yield [record[place] for place in places]


class JsonTable:
    """See `Table`. Its columns are the fields of the first objects."""

    def __init__(self, file: IO[str], source: Source, form: Form, encoding: Encoding):
        """Reads the first objects."""
        self.form = str(form)
        self.notes: tuple[str, ...] = (encoding.note,) if encoding.note else ()
        read = (
            json_records.objects_of_lines
            if form.kind == "json lines"
            else json_records.objects_of_array
        )
        objects = read(file, str(source))
        first = list(itertools.islice(objects, _NAMES_FROM))
        fields = (o.keys() for o in first if isinstance(o, dict))
        self.columns = tuple(dict.fromkeys(itertools.chain.from_iterable(fields)))
        if not self.columns:
            raise UserError(f"{source} is no table of movies: it holds no JSON objects")
        self._objects = itertools.chain(first, objects)

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """See `Table`."""
        for value in self._objects:
            if isinstance(value, dict):
                yield [value.get(name) for name in names]
            else:
                yield DamagedRow([value], "not a JSON object")
