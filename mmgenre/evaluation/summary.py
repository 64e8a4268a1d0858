"""An evaluation in 80 columns: the verdict, the methods, the genres."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from tabulate import tabulate

from mmgenre.evaluation import baselines, tables
from mmgenre.evaluation.results import (
    FOR_MACRO_F1,
    Baselines,
    Evaluation,
    NotFitted,
    RunEvaluation,
)
from mmgenre.evaluation.verdict import against_best_baseline

WIDTH: Final = 80
_NAME: Final = 27  # Characters of a method's or a genre's name.
_GENRES: Final = 30  # That are shown, the most common ones, of a longer list.

_METHODS_NOTE: Final = (
    "F1 at thresholds fitted on validation for it; AP with its 95% interval; LR: logistic "
    "regression."
)


def of_run(evaluation: RunEvaluation) -> str:
    """Returns what a person reads first of a run's evaluation."""
    name = _cut(evaluation.run)
    methods = _methods(compared(evaluation, name))
    parts = [*headlines(evaluation, name), methods, _genres(evaluation)]
    if evaluation.warning:
        parts.append(f"note: {evaluation.warning}")
    return _wrapped(parts)


def headlines(evaluation: RunEvaluation, name: str) -> list[str]:
    """Returns what was evaluated, and the verdict on it, as `name`, where there is one."""
    data = evaluation.data
    movies = _movies(evaluation.num_movies, data.name, data.split)
    title = f"{evaluation.run} (step {evaluation.step}), {movies}"
    verdict = against_best_baseline(name, evaluation, baselines.titled(evaluation.baselines))
    return [title] if verdict is None else [title, f"{verdict}."]


def compared(evaluation: RunEvaluation, name: str) -> dict[str, Evaluation | NotFitted]:
    """Returns a run as `name`, and behind it its baselines by their names for readers."""
    return {name: evaluation} | baselines.titled(evaluation.baselines)


def of_baselines(found: Baselines, dataset: str, split: str, num_movies: int) -> str:
    """Returns what a person reads first of the baselines of a data set."""
    title = f"baselines, {_movies(num_movies, dataset, split)}"
    return _wrapped([title, _methods(baselines.titled(found))])


def _movies(count: int, dataset: str, split: str) -> str:
    return f"{count:,} movies of {dataset}, split {split}"


def _methods(columns: Mapping[str, Evaluation | NotFitted]) -> str:
    rows: list[Sequence[str | float | None]] = []
    missing: dict[NotFitted, list[str]] = {}
    for name, column in columns.items():
        if isinstance(column, NotFitted):
            rows.append([name, None, None, None, None])
            missing.setdefault(column, []).append(name)
            continue
        micro, macro, auc, precision = tables.compared(column)
        rows.append([name, micro.value, macro.value, auc.value, tables.with_interval(precision)])
    headers = ["method", "F1 micro", "F1 macro", "AUC", "AP (95%)"]
    table = tabulate(rows, headers=headers, floatfmt=".3f", missingval="-")
    notes = [_METHODS_NOTE]
    notes += [f"Not fitted, {why.sentence}: {', '.join(names)}." for why, names in missing.items()]
    return table + "\n" + "\n".join(_filled(note) for note in notes)


def _genres(evaluation: RunEvaluation) -> str:
    fitted = evaluation.operating_points.get(FOR_MACRO_F1)
    f1 = fitted.f1_by_genre if fitted is not None else ()
    scores = list(evaluation.per_genre.items())
    rows = [
        [
            _cut(genre),
            each.support,
            f1[number] if f1 else each.f1,
            each.roc_auc,
            each.average_precision,
        ]
        for number, (genre, each) in enumerate(scores)
    ]
    if len(rows) > _GENRES:
        common = sorted(range(len(rows)), key=lambda row: -scores[row][1].support)[:_GENRES]
        rows = [rows[row] for row in sorted(common)]
        rows.append([f"{len(scores) - _GENRES:,} others: --full", None, None, None, None])
    return tabulate(
        rows, headers=["genre", "movies", "F1", "AUC", "AP"], floatfmt=".3f", missingval="-"
    )


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)  # "TF-IDF" stays whole.


def _wrapped(parts: Sequence[str]) -> str:
    """Joins paragraphs and tables; paragraphs are wrapped."""
    return "\n" + "\n\n".join(part if "\n" in part else _filled(part) for part in parts)
