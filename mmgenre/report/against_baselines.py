"""The model beside its baselines: the same movies, the same choice of thresholds for all."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from mmgenre.evaluation import baselines, operating_points, tables
from mmgenre.evaluation.results import Evaluation, NotFitted
from mmgenre.evaluation.tables import Columns, Compared
from mmgenre.evaluation.verdict import Verdict, against_best_baseline
from mmgenre.report import figures_overall
from mmgenre.report.run_data import RunData
from mmgenre.report.style import Figure

COMPARED: Final = ("F1, micro", "F1, macro", "ROC AUC, macro", "AP, macro")
"""What `Row.compared` holds, for readers."""

POINTS: Final = ("at 0.5", "for micro F1", "for macro F1")
"""The choices of thresholds that `Row.f1` is at, for readers."""


@dataclasses.dataclass(frozen=True)
class MicroAndMacro:
    """F1 at one choice of thresholds; None where it was not measured."""

    micro: float | None = None
    macro: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A model in the tables of the page.

    Attributes:
      name: for readers.
      not_fitted: why there is no such model, for readers; None where there is one.
      compared: for each of `COMPARED`.
      f1: for each of `POINTS`.
      log_loss: of its probabilities.
    """

    name: str
    not_fitted: str | None
    compared: list[Compared]
    f1: list[MicroAndMacro]
    log_loss: float | None = None


def columns(data: RunData) -> Columns:
    """Returns the evaluations of the model and of its baselines, under names for readers."""
    return {data.name: _of_model(data)} | baselines.titled(data.evaluation.baselines)


def verdict(data: RunData, name: str) -> Verdict | None:
    """Returns how a run, under this name, stands beside its best baseline; None if it has none."""
    others = {k: v for k, v in columns(data).items() if k != data.name}
    return against_best_baseline(name, _of_model(data), others)


def _of_model(data: RunData) -> Evaluation:
    # Not what was written: an older program may have evaluated, or thresholds changed since.
    return operating_points.evaluate_answers(
        data.test.labels, data.test.logits, data.answers, data.genres
    )


def rows(columns: Columns) -> list[Row]:
    """Returns a row for each model."""
    return [_row(name, column) for name, column in columns.items()]


def _row(name: str, column: Evaluation | NotFitted) -> Row:
    if isinstance(column, NotFitted):
        missing = [Compared(None, None)] * len(COMPARED)
        return Row(name, column.sentence, missing, [MicroAndMacro()] * len(POINTS))
    points = [column.operating_points.get(point) for point in operating_points.POINTS]
    f1 = [MicroAndMacro(p.f1.micro, p.f1.macro) if p else MicroAndMacro() for p in points]
    return Row(name, None, tables.compared(column), f1, column.log_loss)


def figure(columns: Columns) -> Figure:
    """Draws the model and its baselines."""
    found = {row.name: row.compared for row in rows(columns)}
    scores: Mapping[str, Mapping[str, float | None]] = {
        title: {name: values[number].value for name, values in found.items()}
        for number, title in enumerate(COMPARED)
    }
    return figures_overall.baselines(
        scores,
        "Against what needs no network",
        "The model in blue; in grey predicting nothing, every genre or the most common ones, "
        "logistic regression (LR) on words, on coarse poster features and on both, an ensemble of "
        "linear models, and LR on frozen encoders' vectors where the data set has them. Each F1 at "
        "thresholds fitted for it on validation movies, for all of them alike. A dash where there "
        "is no figure.",
    )
