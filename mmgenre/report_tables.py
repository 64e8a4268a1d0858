"""Evaluation reports as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

_AVERAGES = {
    "precision": ("micro", "macro", "weighted", "samples"),
    "recall": ("micro", "macro", "weighted", "samples"),
    "f1": ("micro", "macro", "weighted", "samples"),
    "roc_auc": ("micro", "macro", "weighted"),
    "average_precision": ("micro", "macro", "weighted", "samples"),
}


def evaluation_tables(report: Mapping[str, Any]) -> str:
    """Returns the tables of `evaluate.evaluate_run`: overall beside the baselines, and by genre."""
    columns = {report["run"]: report, **report["baselines"]}
    rows = [
        [name, *(column[name] for column in columns.values())]
        for name in ("accuracy", "exact_match", "hamming_loss")
    ]
    for metric, averages in _AVERAGES.items():
        for average in averages:
            values = (column[metric][average] for column in columns.values())
            rows.append([f"{metric} {average}", *values])
    headers = ["", *(name.replace("_", " ") for name in columns)]
    overall = tabulate(rows, headers=headers, floatfmt=".4f", missingval="-")
    fields = ("support", "predicted", "precision", "recall", "f1", "roc_auc", "average_precision")
    per_genre = tabulate(
        [[genre, *(row[f] for f in fields)] for genre, row in report["per_genre"].items()],
        headers=["genre", *(field.replace("_", " ") for field in fields)],
        floatfmt=".3f",
        missingval="-",
    )
    data = report["data"]
    title = (
        f"{report['run']} (step {report['step']}) on {report['num_movies']:,} movies: "
        f"{data['name']}, split {data['split']}, threshold {report['threshold']}"
    )
    return f"\n{title}\n\n{overall}\n\n{per_genre}"
