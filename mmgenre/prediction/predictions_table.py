"""Predictions of many movies as a file: CSV, JSON lines, or Parquet (which needs `pyarrow`)."""

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files

FORMATS: Final = (".csv", ".jsonl", ".parquet")
_ROWS: Final = 2_000
"""Of a Parquet file's row group, all of which are in memory at once."""


def check_format(out: Path) -> None:
    """Raises UserError where a file's ending names no format, or Parquet cannot be written."""
    if out.suffix not in FORMATS:
        raise UserError(f"{out} does not end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise UserError(
                "Parquet files need pyarrow; install it with: pip install 'mmgenre[parquet]'"
            ) from error


def convert(partial: Path, out: Path) -> int:
    """Turns a file of answers, a JSON object a line behind a first line, into `out`.

    It appears when it is complete; memory does not grow with the number of movies.

    Returns:
      The number of movies.
    """
    write = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[out.suffix]
    with files.replacing(out) as temporary:
        return write(_read(partial), Path(temporary))


def _read(partial: Path) -> Iterator[dict[str, Any]]:
    with partial.open(encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            yield json.loads(line)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """One column a genre."""
    flat = {name: value for name, value in record.items() if name != "probabilities"}
    return flat | dict(zip(schema.GENRES, record["probabilities"], strict=True))


def _write_csv(records: Iterator[dict[str, Any]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for record in records:
            row = _flat(record) | {"genres": "|".join(record["genres"])}
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
            count += 1
    return count


def _write_jsonl(records: Iterator[dict[str, Any]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            named = dict(zip(schema.GENRES, record["probabilities"], strict=True))
            line = record | {"probabilities": named}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def _write_parquet(records: Iterator[dict[str, Any]], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(records, None)
    if first is None:
        pq.write_table(pa.table({}), path)
        return 0
    types = {
        **{name: pa.string() for name in ("id", "title", "note")},
        "genres": pa.list_(pa.string()),
        **{name: pa.bool_() for name in ("has_poster", "has_overview")},
        **{genre: pa.float32() for genre in schema.GENRES},
    }
    columns = pa.schema([(name, types[name]) for name in _flat(first)])
    count = 0
    rows = itertools.chain([first], records)
    with pq.ParquetWriter(path, columns) as writer:
        while chunk := [_flat(record) for record in itertools.islice(rows, _ROWS)]:
            writer.write_table(pa.Table.from_pylist(chunk, columns))
            count += len(chunk)
    return count
