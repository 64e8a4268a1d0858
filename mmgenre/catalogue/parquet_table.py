"""A Parquet file as a table (extra `[parquet]`)."""

from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from mmgenre.errors import UserError, first_line

_ROWS: Final = 1_024


class ParquetTable:
    """See `mmgenre.catalogue.table.Table`; cells are Python values."""

    def __init__(self, file: IO[bytes], name: str):
        """Reads the schema; raises UserError where `pyarrow` is not installed, or it is damaged."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise UserError(
                f"{name} is a Parquet file, which needs pyarrow; install it with: "
                "pip install -e '.[parquet]'"
            ) from error
        self.form = "Parquet"
        self.notes: tuple[str, ...] = ()
        self._name = name
        self._damage = (pyarrow.ArrowException, OSError)
        try:
            self._file = pyarrow.parquet.ParquetFile(file)
            self.columns = tuple(map(str, self._file.schema_arrow.names))
        except self._damage as error:
            raise self._damaged(error) from error

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """See `Table`."""
        try:
            for batch in self._file.iter_batches(_ROWS, columns=list(names)):
                columns = {name: batch.column(name).to_pylist() for name in names}
                for cells in zip(*(columns[name] for name in names), strict=True):
                    yield list(cells)
        except self._damage as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> UserError:
        return UserError(f"{self._name} is a damaged Parquet file ({first_line(error)[:200]})")
