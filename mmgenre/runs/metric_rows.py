"""Rows of `metrics.jsonl`, which `mmgenre.training.metric_writers` writes. No TensorFlow."""

from typing import Any

from etils import epath

from mmgenre.machine.json_files import read_json_lines


def read_rows(path: epath.Path) -> list[dict[str, float]]:
    """Reads the rows of a run's metrics, none where there is no file.

    A last line that was cut off in writing is left out, and so is what follows a damaged row.
    """
    rows: list[dict[str, float]] = []
    for row in read_json_lines(path) if path.exists() else ():
        if not _is_row(row):
            break
        rows.append(row)
    return rows


def validation_rows(path: epath.Path) -> list[dict[str, float]]:
    """Returns the rows of validation metrics, one an epoch; see `read_rows`."""
    return [row for row in read_rows(path) if "validation/loss" in row]


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and type(row.get("step")) is int
        and all(isinstance(value, int | float) and abs(value) < 1e300 for value in row.values())
    )
