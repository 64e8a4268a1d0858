"""Evaluations as tables: rows for pages and model cards, text for a terminal."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tabulate import tabulate

from mmgenre.evaluation import baselines, operating_points
from mmgenre.evaluation.results import (
    FOR_MACRO_F1,
    FOR_MICRO_F1,
    Averages,
    Evaluation,
    HalvesEvaluation,
    NotFitted,
    RunEvaluation,
    Scores,
)

Columns = Mapping[str, Evaluation | NotFitted]
"""What is compared, by name: the model first, then its baselines."""

_AVERAGED: Final = ("precision", "recall", "f1", "roc_auc", "average_precision")
_PER_GENRE: Final = ("support", "predicted", *_AVERAGED)
_MAIN: Final[tuple[tuple[str, Callable[[Scores], float | None]], ...]] = (
    ("F1, micro", lambda scores: scores.f1.micro),
    ("F1, macro", lambda scores: scores.f1.macro),
    ("Precision, micro", lambda scores: scores.precision.micro),
    ("Recall, micro", lambda scores: scores.recall.micro),
    ("ROC AUC, macro", lambda scores: scores.roc_auc.macro),
    ("Average precision, macro", lambda scores: scores.average_precision.macro),
    ("Accuracy", lambda scores: scores.accuracy),
    ("Exact match", lambda scores: scores.exact_match),
)
"""What pages and model cards show first."""


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """A metric's name, and its value for each column."""

    metric: str
    values: list[float | None]


@dataclasses.dataclass(frozen=True)
class Compared:
    """One of the metrics that models are compared by, each F1 at the thresholds fitted for it.

    Attributes:
      value: None where it is not defined.
      interval: of 95% confidence; None where it is not defined or was not measured.
    """

    value: float | None
    interval: tuple[float, float] | None


COMPARED: Final = ("f1 micro", "f1 macro", "roc_auc macro", "average_precision macro")
"""What models are compared by: the names of their confidence intervals."""


def compared(evaluation: Evaluation) -> list[Compared]:
    """Returns what a model is compared by, in the order of `COMPARED`."""
    points = evaluation.operating_points
    values = (
        points.get(FOR_MICRO_F1, evaluation).f1.micro,
        points.get(FOR_MACRO_F1, evaluation).f1.macro,
        evaluation.roc_auc.macro,
        evaluation.average_precision.macro,
    )
    return [
        Compared(value, evaluation.confidence_intervals.get(name))
        for name, value in zip(COMPARED, values, strict=True)
    ]


def metric_table(columns: Iterable[Scores]) -> list[MetricRow]:
    """Returns a row for each of the main metrics, a value for each column."""
    scores = list(columns)
    return [MetricRow(title, [look_up(each) for each in scores]) for title, look_up in _MAIN]


def evaluation_tables(evaluation: RunEvaluation) -> str:
    """Returns the tables of a run's evaluation: beside the baselines, and by genre."""
    columns: Columns = {evaluation.run: evaluation, **baselines.titled(evaluation.baselines)}
    per_genre = tabulate(
        [
            [genre, *(getattr(scores, field) for field in _PER_GENRE)]
            for genre, scores in evaluation.per_genre.items()
        ],
        headers=["genre", *(field.replace("_", " ") for field in _PER_GENRE)],
        floatfmt=".3f",
        missingval="-",
    )
    data = evaluation.data
    title = (
        f"{evaluation.run} (step {evaluation.step}) on {evaluation.num_movies:,} movies: "
        f"{data.name}, split {data.split}, threshold {evaluation.threshold}"
    )
    parts = [title, comparison_table(columns), per_genre, headline_table(columns)]
    if evaluation.with_poster is not None:
        parts.append(halves_table(evaluation.with_poster))
    if evaluation.warning:
        parts.append(f"note: {evaluation.warning}")
    return "\n" + "\n\n".join(parts)


def comparison_table(columns: Columns) -> str:
    """Returns every metric of several models side by side, at threshold 0.5."""
    found = [None if isinstance(column, NotFitted) else column for column in columns.values()]
    rows: list[list[str | float | None]] = []
    for name in ("accuracy", "exact_match", "hamming_loss"):
        rows.append([name, *(getattr(each, name) if each else None for each in found)])
    for metric in _AVERAGED:
        averages: list[Averages | None] = [
            getattr(each, metric) if each else None for each in found
        ]
        names = [field.name for field in dataclasses.fields(next(a for a in averages if a))]
        for name in names:
            rows.append([f"{metric} {name}", *(getattr(a, name) if a else None for a in averages)])
    # One word a line: the baselines' names are longer than their figures.
    headers = ["", *(name.replace("_", "\n").replace(" ", "\n") for name in columns)]
    return tabulate(rows, headers=headers, floatfmt=".4f", missingval="-")


def headline_table(columns: Columns) -> str:
    """Returns F1 at each choice of thresholds, and 95% intervals of what models are compared by.

    A baseline that could not be fitted says why.
    """
    points = operating_points.POINTS
    rows: list[list[str | float | None]] = []
    for name, column in columns.items():
        title = name.replace("_", " ")
        if isinstance(column, NotFitted):
            empty = [None] * (2 * len(points) + len(COMPARED) + 1)
            rows.append([f"{title}:\nnot fitted, {column.sentence}", *empty])
            continue
        found = [column.operating_points[point].f1 for point in points]
        f1 = [value for averages in found for value in (averages.micro, averages.macro)]
        rows.append([title, *f1, *map(with_interval, compared(column)), column.log_loss])
    headers = ["thresholds"]
    headers += [f"{point}\nF1 {average}" for point in points for average in ("micro", "macro")]
    headers += [f"{name.replace('_', ' ')}\n(95%)" for name in COMPARED] + ["log\nloss"]
    table = tabulate(rows, headers=headers, floatfmt=".3f", missingval="-")
    return (
        "F1 at 0.5 and at thresholds fitted on validation, for micro and for macro F1; 95% "
        "intervals of each\nF1 at its own; the log loss of the most common genres is that of "
        f"their frequencies\n\n{table}"
    )


def halves_table(evaluation: HalvesEvaluation) -> str:
    """Returns what a model is worth on movies with a poster, whole and with a half withheld."""
    views = {
        "poster and overview": evaluation,
        "poster alone": evaluation.poster_alone,
        "overview alone": evaluation.overview_alone,
    }
    rows = [
        [name, *map(with_interval, compared(found)), found.log_loss]
        for name, found in views.items()
        if found is not None
    ]
    headers = ["", *(f"{name.replace('_', ' ')}\n(95%)" for name in COMPARED), "log\nloss"]
    table = tabulate(rows, headers=headers, floatfmt=".3f", missingval="-")
    return (
        f"the {evaluation.num_movies:,} movies with a poster, each half by thresholds of its own"
        f"\n\n{table}"
    )


def with_interval(of: Compared) -> str:
    """Returns a value with its interval, if it has one; "-" where it is not defined."""
    if of.value is None:
        return "-"
    if of.interval is None:
        return f"{of.value:.3f}"
    return f"{of.value:.3f} ({of.interval[0]:.3f}-{of.interval[1]:.3f})"
