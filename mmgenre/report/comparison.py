"""Contents of the page that compares runs: who is better, by how much, and what differs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mmgenre.config import Config
from mmgenre.config_values import flatten
from mmgenre.evaluation import tables
from mmgenre.evaluation.results import Scores
from mmgenre.report import figures_overall, figures_training
from mmgenre.report.run_data import RunData
from mmgenre.report.style import Figure

_RESAMPLES: Final = 1000


@dataclasses.dataclass(frozen=True)
class ComparedMetric:
    """A metric of each run, and the number of the run where it is highest; None if nowhere."""

    metric: str
    values: list[float | None]
    best: int | None


@dataclasses.dataclass(frozen=True)
class ComparedGenre:
    """A genre: its movies in the first run's test split, and scores of each run."""

    genre: str
    support: int
    f1: list[float | None]
    average_precision: list[float | None]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much better a run's micro F1 is than the first one's.

    Attributes:
      name: of the run.
      first: name of the first run.
      difference: over all movies.
      low: lower end of its 95% interval.
      high: upper end.
    """

    name: str
    first: str
    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def unique_names(runs: Sequence[RunData]) -> list[str]:
    """Returns the runs' names; runs of equal names get their folder's folder in front."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{run.run.path.parent.name}/{run.name} ({n})" for n, run in enumerate(runs, start=1)]


def warning(runs: Sequence[RunData]) -> str | None:
    """Says why the runs cannot be compared movie by movie; None where they can."""
    if len({run.test.fingerprint for run in runs}) > 1:
        return (
            "These runs were evaluated on different data: their figures stand side by side, but "
            "the differences between them may come from the data."
        )
    return None


def metric_rows(reports: Mapping[str, Scores]) -> list[ComparedMetric]:
    """Returns the main metrics of the runs."""
    rows = []
    for row in tables.metric_table(reports.values()):
        defined = [number for number, value in enumerate(row.values) if value is not None]
        best = max(defined, key=lambda number: row.values[number] or 0.0, default=None)
        rows.append(ComparedMetric(row.metric, row.values, best))
    return rows


def genre_rows(reports: Mapping[str, Scores]) -> list[ComparedGenre]:
    """Returns the scores of each genre in the runs."""
    rows = []
    for genre in next(iter(reports.values())).per_genre:
        scores = [report.per_genre[genre] for report in reports.values()]
        f1 = [each.f1 for each in scores]
        rows.append(
            ComparedGenre(genre, scores[0].support, f1, [each.average_precision for each in scores])
        )
    return rows


def flat_settings(config: Config) -> list[tuple[str, str]]:
    """Returns settings under dotted names; not where the data lies, which is the machine's."""
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in flatten(config).items()
        if name != "data.dir"
    ]


def differing(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of the facts that are not the same for all runs."""
    names = dict.fromkeys(name for run in facts for name in run)
    return [name for name in names if any(run.get(name) != facts[0].get(name) for run in facts)]


def setting_differences(runs: Sequence[RunData]) -> list[tuple[str, list[str]]]:
    """Returns the settings in which the runs differ, with the value of each run."""
    settings = [dict(flat_settings(run.config)) for run in runs]
    return [
        (name, [values[name] for values in settings])
        for name in settings[0]
        if len({values[name] for values in settings}) > 1
    ]


def differences_from_first(runs: Mapping[str, RunData]) -> list[Difference]:
    """Returns the difference in micro F1 to the first run, with its 95% interval.

    By paired bootstrap over the test movies (Efron, 1979): the same movies are drawn for both runs.
    Empty where the runs do not answer for the same movies.
    """
    (first_name, first), *others = runs.items()
    if len({run.test.fingerprint for run in runs.values()}) > 1:
        return []
    generator = np.random.default_rng(0)
    num_movies = len(first.labels)
    weights = generator.multinomial(
        num_movies, np.full(num_movies, 1 / num_movies), size=_RESAMPLES
    ).astype(np.float32)
    scores = {name: _resampled_f1(run, weights) for name, run in runs.items()}
    rows = []
    for name, _ in others:
        difference = scores[name] - scores[first_name]
        low, high = np.percentile(difference[1:], (2.5, 97.5))
        rows.append(Difference(name, first_name, float(difference[0]), float(low), float(high)))
    return rows


def _resampled_f1(run: RunData, weights: np.ndarray) -> np.ndarray:
    """Returns micro F1 <float>[1 + resamples]: of all movies, then of each resampling."""
    predicted = run.answers.predicted_for_micro
    hits = (run.labels & predicted).sum(axis=1).astype(np.float32)
    positives = (run.labels.sum(axis=1) + predicted.sum(axis=1)).astype(np.float32)
    weights = np.concatenate([np.ones((1, len(hits)), np.float32), weights])
    return 2 * (weights @ hits) / np.maximum(weights @ positives, 1)


def build_figures(runs: Mapping[str, RunData], reports: Mapping[str, Scores]) -> dict[str, Figure]:
    """Draws the figures of the comparison, by name."""
    figures = figures_training.compared_curves({name: run.rows for name, run in runs.items()})
    of_first = next(iter(runs.values()))
    rows = [row for n, row in enumerate(genre_rows(reports)) if n in set(of_first.drawn)]
    for name, title, by_genre in (
        ("genres-f1", "F1", [row.f1 for row in rows]),
        ("genres-average-precision", "Average precision", [row.average_precision for row in rows]),
    ):
        values = {run: [row[n] for row in by_genre] for n, run in enumerate(reports)}
        figures.append(
            figures_overall.views(
                [row.genre for row in rows],
                values,
                f"{title} of each genre",
                "A dot for each run; sorted by the last one's.",
                name,
            )
        )
    return {figure.name: figure for figure in figures}
