"""Evaluation reports as tables: rows for pages and model cards, text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

_AVERAGES = {
    "precision": ("micro", "macro", "weighted", "samples"),
    "recall": ("micro", "macro", "weighted", "samples"),
    "f1": ("micro", "macro", "weighted", "samples"),
    "roc_auc": ("micro", "macro", "weighted"),
    "average_precision": ("micro", "macro", "weighted", "samples"),
}

_MAIN = (
    ("F1, micro", "f1", "micro"),
    ("F1, macro", "f1", "macro"),
    ("Precision, micro", "precision", "micro"),
    ("Recall, micro", "recall", "micro"),
    ("ROC AUC, macro", "roc_auc", "macro"),
    ("Average precision, macro", "average_precision", "macro"),
    ("Accuracy", "accuracy", None),
    ("Exact match", "exact_match", None),
)
"""What pages and model cards show first: title, metric, average."""

_HEADLINE = (("f1", "micro"), ("f1", "macro"), ("roc_auc", "macro"), ("average_precision", "macro"))
"""What models are compared by."""


def evaluation_tables(report: Mapping[str, Any]) -> str:
    """Returns the tables of `evaluation.evaluate_run`: beside the baselines, and by genre."""
    columns = {report["run"]: report, **report["baselines"]}
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
    fitted = "F1 at 0.5 and at thresholds fitted on validation; 95% intervals at those per genre"
    parts = [title, comparison_table(columns), per_genre, fitted, headline_table(columns)]
    if report["warning"]:
        parts.append(f"note: {report['warning']}")
    return "\n" + "\n\n".join(parts)


def metric_table(columns: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows {"metric", "values"} of the main metrics, a value for each column."""
    return [
        {
            "metric": title,
            "values": [c[name] if average is None else c[name][average] for c in columns.values()],
        }
        for title, name, average in _MAIN
    ]


def comparison_table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns every metric of several models side by side, at threshold 0.5."""
    rows = [
        [name, *(column[name] for column in columns.values())]
        for name in ("accuracy", "exact_match", "hamming_loss")
    ]
    for metric, averages in _AVERAGES.items():
        for average in averages:
            values = (column[metric][average] for column in columns.values())
            rows.append([f"{metric} {average}", *values])
    headers = ["", *(name.replace("_", " ") for name in columns)]
    return tabulate(rows, headers=_wrapped(headers), floatfmt=".4f", missingval="-")


def headline_table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns F1 at each choice of thresholds, and 95% intervals of what models are compared by."""
    rows = []
    for name, column in columns.items():
        points = column["operating_points"]
        f1 = [points[p]["f1"][average] for p in points for average in ("micro", "macro")]
        fitted = {**column, "f1": points["per genre"]["f1"]}
        intervals = [
            _interval(
                fitted[metric][average], column["confidence_intervals"][f"{metric} {average}"]
            )
            for metric, average in _HEADLINE
        ]
        rows.append([name.replace("_", " "), *f1, *intervals])
    headers = ["thresholds"]
    headers += [f"{point}\nF1 {average}" for point in points for average in ("micro", "macro")]
    headers += [f"{metric} {average}\n(95%)".replace("_", " ") for metric, average in _HEADLINE]
    return tabulate(rows, headers=headers, floatfmt=".3f")


def _interval(value: float | None, interval: Sequence[float]) -> str:
    if value is None:
        return "-"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _wrapped(headers: Sequence[str]) -> list[str]:
    """One word a line: the baselines' names are longer than their figures."""
    return [header.replace(" ", "\n") for header in headers]
