"""Predictions of many movies as a file: CSV, JSON lines, or Parquet (which needs `pyarrow`)."""

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from mmgenre.dataset import label_table
from mmgenre.errors import UserError
from mmgenre.machine import files

FORMATS: Final = (".csv", ".jsonl", ".parquet")
_OWN: Final = ("genres", "has_poster", "has_overview", "words", "unknown_words", "note")
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
                "Parquet files need pyarrow; install it with: pip install -e '.[parquet]'"
            ) from error


def first_line(signature: str, copied: Sequence[str], genres: Sequence[str]) -> str:
    """Returns the first line of a file of answers; the others are a JSON object each.

    Args:
      signature: of what was asked.
      copied: the columns that come from the table of movies.
      genres: the names that probabilities belong to.
    """
    fields = {"signature": signature, "copied": list(copied), "genres": list(genres), "own": _OWN}
    return json.dumps(fields, allow_nan=False) + "\n"


def convert(partial: Path, out: Path, *, for_excel: bool = False) -> int:
    """Turns a file of answers into `out`.

    It appears when it is complete; memory does not grow with the number of movies.

    Args:
      partial: the answers, behind `first_line`.
      out: the file to make, in the format that its ending names.
      for_excel: begin a CSV file with the mark by which Excel knows UTF-8.

    Returns:
      The number of movies.
    """
    with partial.open(encoding="utf-8") as lines, files.replacing(out) as temporary:
        fields = json.loads(next(lines))
        genres = fields["genres"]
        columns = [*fields["copied"], *_OWN, *map(_genre_column, genres)]
        records, path = map(json.loads, lines), Path(temporary)
        if out.suffix == ".csv":
            encoding = "utf-8-sig" if for_excel else "utf-8"
            return _write_csv(records, path, columns, genres, encoding)
        if out.suffix == ".parquet":
            return _write_parquet(records, path, columns, genres)
        return _write_jsonl(records, path, genres)


def json_line(record: dict[str, Any], genres: Sequence[str]) -> str:
    """Returns an answer as a line of JSON, without its end: probabilities by the genre's name."""
    named = dict(zip(genres, record["probabilities"], strict=True))
    return json.dumps(record | {"probabilities": named}, ensure_ascii=False, allow_nan=False)


def _genre_column(genre: str) -> str:
    """Returns the column of a genre's probabilities: a genre may be called as another column."""
    return f"genre {genre}" if genre in (*_OWN, "id", "title") else genre


def flat(record: dict[str, Any], genres: Sequence[str]) -> dict[str, Any]:
    """Returns an answer with its probabilities in columns of their own, one a genre."""
    fields = {name: value for name, value in record.items() if name != "probabilities"}
    return fields | dict(zip(map(_genre_column, genres), record["probabilities"], strict=True))


def _write_csv(
    records: Iterator[dict[str, Any]],
    path: Path,
    columns: Sequence[str],
    genres: Sequence[str],
    encoding: str,
) -> int:
    count = 0
    with path.open("w", encoding=encoding, newline="") as file:
        # All texts in quotes: before Python 3.13 a carriage return gets none by itself.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(columns)
        for record in records:
            row = flat(record, genres) | {"genres": "|".join(record["genres"])}
            writer.writerow([_harmless(row[name]) for name in columns])
            count += 1
    return count


def _harmless(value: Any) -> Any:
    return label_table.harmless(value) if isinstance(value, str) else value


def _write_jsonl(records: Iterator[dict[str, Any]], path: Path, genres: Sequence[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json_line(record, genres) + "\n")
            count += 1
    return count


def _write_parquet(
    records: Iterator[dict[str, Any]], path: Path, columns: Sequence[str], genres: Sequence[str]
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        **{name: pa.string() for name in ("id", "title", "note")},
        "genres": pa.list_(pa.string()),
        **{name: pa.bool_() for name in ("has_poster", "has_overview")},
        **{name: pa.int32() for name in ("words", "unknown_words")},
        **{_genre_column(genre): pa.float32() for genre in genres},
    }
    types_of_columns = pa.schema([(name, types[name]) for name in columns])
    count = 0
    with pq.ParquetWriter(path, types_of_columns) as writer:
        while chunk := [flat(record, genres) for record in itertools.islice(records, _ROWS)]:
            writer.write_table(pa.Table.from_pylist(chunk, types_of_columns))
            count += len(chunk)
    return count
