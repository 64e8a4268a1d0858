"""Reads `metrics.jsonl`, which `mmgenre.training.metric_writers` writes. No TensorFlow."""

import json

from etils import epath


def read_rows(path: epath.Path) -> list[dict[str, float]]:
    """Reads the rows of a run's metrics, none where there is no file.

    A last line that was cut off in writing is left out.
    """
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
