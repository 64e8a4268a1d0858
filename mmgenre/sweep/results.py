"""Results of a sweep: its points ranked on validation, in tables and in files."""

import csv
import dataclasses
import io
import statistics
from collections.abc import Sequence
from typing import Any, Final, Self

from etils import epath
from tabulate import tabulate

from mmgenre.machine import environment, files
from mmgenre.runs import sessions as training_session
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import validation_rows
from mmgenre.sweep.grid import SEED, Axes, Point, as_text

JSON_FILE: Final = "results.json"
CSV_FILE: Final = "results.csv"

DONE: Final = "done"
FAILED: Final = "failed"
NOT_DONE: Final = "not done"

_PREFIX: Final = "validation/"
_SHOWN: Final = ("f1/micro", "f1/macro", "roc_auc/macro", "average_precision/macro")
"""The validation metrics of the tables, beside the one that ranks."""


@dataclasses.dataclass(frozen=True)
class PointResult:
    """What is known of a point.

    Attributes:
      point: the point.
      status: `DONE`, `FAILED` or `NOT_DONE`.
      reason: why it failed, in one line.
      metrics: of validation in the best epoch, by name, such as "f1/micro"; of points that are
        done only, so that half-trained ones are not ranked.
      best_epoch: from 1 on; None where there is none.
      epochs: that it was trained for.
      seconds: that it took, over all its sessions but those that were cut off.
    """

    point: Point
    status: str
    reason: str = ""
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, run: RunDirectory, point: Point, status: str, reason: str = "") -> Self:
        """Reads a point's run; the epoch is the one that the checkpoint manager calls best."""
        rows = validation_rows(run.metrics_file)
        sessions = training_session.read_sessions(run)
        seconds = sum(session["seconds"] or 0.0 for session in sessions)
        result = cls(point, status, reason, epochs=len(rows), seconds=seconds)
        name, sign = _ranking(point)
        scores = [(sign * row[name], epoch) for epoch, row in enumerate(rows, 1) if name in row]
        if status != DONE or not scores:
            return result
        _, best = max(scores)
        metrics = {k.removeprefix(_PREFIX): v for k, v in rows[best - 1].items() if k != "step"}
        metrics.pop("seconds", None)
        return dataclasses.replace(result, metrics=metrics, best_epoch=best)

    @property
    def score(self) -> float | None:
        """The metric that ranks; None where there is none."""
        return self.metrics.get(self.point.config.selection_metric)

    def summary(self) -> str:
        """Says in one line how a point ended that is done."""
        score = "not defined" if self.score is None else f"{self.score:.4f}"
        return (
            f"{self.point.config.selection_metric} {score} in epoch {self.best_epoch} of "
            f"{self.epochs}, {environment.duration(self.seconds)}"
        )


@dataclasses.dataclass(frozen=True)
class MeanAndSpread:
    """A metric over seeds: its mean and sample standard deviation, None for one seed."""

    mean: float
    sd: float | None


@dataclasses.dataclass(frozen=True)
class SeedsSummary:
    """What is known of one combination of the settings but the seed.

    Attributes:
      settings: by name.
      n: seeds with a score.
      metrics: of validation, by name.
    """

    settings: dict[str, Any]
    n: int
    metrics: dict[str, MeanAndSpread]


def ranked(results: Sequence[PointResult]) -> list[PointResult]:
    """Returns the best first, those without a score last."""

    def key(result: PointResult) -> tuple[bool, float]:
        if result.score is None:
            return True, 0.0
        return False, -_ranking(result.point)[1] * result.score

    return sorted(results, key=key)


def over_seeds(axes: Axes, results: Sequence[PointResult]) -> list[SeedsSummary]:
    """Returns mean and spread of each combination of the settings but the seed, the best first.

    Of each that has a score.
    """
    groups: dict[tuple[Any, ...], list[PointResult]] = {}
    others = [name for name in axes if name != SEED]
    for result in ranked(results):
        if result.score is not None:
            key = tuple(result.point.settings[name] for name in others)
            groups.setdefault(key, []).append(result)
    summaries = []
    for key, members in groups.items():
        metrics = {}
        for name in members[0].metrics:
            values = [m.metrics[name] for m in members if name in m.metrics]
            sd = statistics.stdev(values) if len(values) > 1 else None
            metrics[name] = MeanAndSpread(statistics.fmean(values), sd)
        settings = dict(zip(others, key, strict=True))
        summaries.append(SeedsSummary(settings, len(members), metrics))
    if not summaries:
        return []
    name, sign = _ranking(results[0].point)
    name = name.removeprefix(_PREFIX)
    return sorted(summaries, key=lambda summary: -sign * summary.metrics[name].mean)


def tables(axes: Axes, results: Sequence[PointResult]) -> str:
    """Returns the ranked points as a table, and the means over seeds where these vary."""
    metric = results[0].point.config.selection_metric
    shown = (metric, *(name for name in _SHOWN if name != metric))
    rows: list[list[Any]] = []
    for rank, result in enumerate(ranked(results), 1):
        rows.append(
            [
                rank if result.score is not None else "",
                *(as_text(result.point.settings[name]) for name in axes),
                *(_number(result.metrics.get(name)) for name in shown),
                f"{result.best_epoch} of {result.epochs}" if result.best_epoch else "",
                environment.duration(result.seconds) if result.seconds else "",
                result.status,
            ]
        )
    headers = ["", *axes, *map(_wrapped, shown), "best\nepoch", "time", ""]
    title = f"validation at the best epoch, ranked by {metric}; F1 at threshold 0.5"
    parts = [title, _table(rows, headers)]
    if SEED in axes:
        others = [name for name in axes if name != SEED]
        rows = [
            [*(as_text(group.settings[name]) for name in others), group.n]
            + [_mean_and_sd(group.metrics.get(name)) for name in shown]
            for group in over_seeds(axes, results)
        ]
        parts += [
            "the same over seeds: mean and standard deviation",
            _table(rows, [*others, "seeds", *map(_wrapped, shown)]),
        ]
    return "\n" + "\n\n".join(parts)


def write(folder: epath.Path, axes: Axes, results: Sequence[PointResult]) -> None:
    """Writes `results.json` and `results.csv` into the sweep's folder; raises OSError."""
    rows: list[dict[str, Any]] = []
    for rank, result in enumerate(ranked(results), 1):
        rows.append(
            {
                "rank": rank if result.score is not None else None,
                "run": result.point.name,
                "status": result.status,
                "reason": result.reason,
                "settings": dict(result.point.settings),
                "score": result.score,
                "best_epoch": result.best_epoch,
                "epochs": result.epochs,
                "seconds": round(result.seconds, 1),
                "metrics": result.metrics,
            }
        )
    config = results[0].point.config
    report = {
        "config": config.name,
        "split": "validation",
        "ranked_by": config.selection_metric,
        "axes": dict(axes),
        "points": rows,
        "over_seeds": [dataclasses.asdict(group) for group in over_seeds(axes, results)]
        if SEED in axes
        else None,
    }
    files.write_json(folder / JSON_FILE, report)
    flat = [
        {name: value for name, value in row.items() if name not in ("settings", "metrics")}
        | {name: as_text(value) for name, value in row["settings"].items()}
        | {f"{_PREFIX}{name}": value for name, value in row["metrics"].items()}
        for row in rows
    ]
    fields = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    files.write_text(folder / CSV_FILE, text.getvalue())


def _ranking(point: Point) -> tuple[str, int]:
    """The name of the metric that ranks, as in a row, and -1 where lower is better."""
    metric = point.config.selection_metric
    return f"{_PREFIX}{metric}", -1 if metric == "loss" else 1


def _wrapped(metric: str) -> str:
    return metric.replace("_", " ").replace("/", "\n")


def _mean_and_sd(summary: MeanAndSpread | None) -> str:
    if summary is None:
        return "-"
    spread = "" if summary.sd is None else f" ± {_number(summary.sd)}"
    return _number(summary.mean) + spread


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _table(rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True)
