"""The model beside its baselines: the same movies, the same choice of thresholds for all."""

from collections.abc import Mapping
from typing import Any, Final

from mmgenre.evaluation import operating_points
from mmgenre.report import figures_overall
from mmgenre.report.run_data import RunData
from mmgenre.report.style import Figure

_NAMES: Final = {
    "nothing": "predict nothing",
    "most_common_genres": "most common genres",
    "tfidf_logistic_regression": "TF-IDF + logistic regression",
    "poster_features_logistic_regression": "poster features + logistic regression",
    "tfidf_and_poster_features": "TF-IDF and poster features",
}
_FITTED: Final = operating_points.PER_GENRE
_POINTS: Final = (operating_points.HALF, operating_points.GLOBAL, _FITTED)
_COMPARED: Final = (
    ("F1, micro", "f1", "micro"),
    ("F1, macro", "f1", "macro"),
    ("ROC AUC, macro", "roc_auc", "macro"),
    ("AP, macro", "average_precision", "macro"),
)

Columns = Mapping[str, Mapping[str, Any]]
"""Evaluation reports (`operating_points.evaluate_logits`) by name, the model's first."""


def columns(data: RunData) -> Columns:
    """Returns the reports of the model and of its baselines, under names for readers."""
    found = data.evaluation.get("baselines", {})
    return {data.name: _of_model(data)} | {_NAMES.get(k, k): v for k, v in found.items()}


def _of_model(data: RunData) -> Mapping[str, Any]:
    points = data.evaluation.get("operating_points", {})
    if points.get(_FITTED, {}).get("thresholds") == list(data.rule.thresholds):
        return data.evaluation
    # Evaluated by an older program, or given other thresholds since.
    return operating_points.evaluate_logits(data.test.labels, data.test.logits, data.rule)


def rows(columns: Columns) -> list[dict[str, Any]]:
    """Returns a row for each model: "name", "compared" and "f1".

    "compared" has a (value, interval) for each of `compared_names`, the interval None where none
    was measured; "f1" a (micro, macro) for each of `point_names`, None likewise.
    """
    return [
        {
            "name": name,
            "compared": [
                (
                    _value(report, metric, average),
                    report.get("confidence_intervals", {}).get(f"{metric} {average}"),
                )
                for _, metric, average in _COMPARED
            ],
            "f1": [
                (f1["micro"], f1["macro"])
                if (f1 := _points(report).get(point, {}).get("f1"))
                else (None, None)
                for point in _POINTS
            ],
        }
        for name, report in columns.items()
    ]


def compared_names() -> list[str]:
    """Returns what the figures of "compared" are."""
    return [title for title, _, _ in _COMPARED]


def point_names() -> list[str]:
    """Returns what F1 is shown at."""
    return ["at 0.5", "one for all", "per genre"]


def figure(columns: Columns) -> Figure:
    """Draws the model and its baselines."""
    scores = {
        title: {name: _value(report, metric, average) for name, report in columns.items()}
        for title, metric, average in _COMPARED
    }
    return figures_overall.baselines(
        scores,
        "Against what needs no network",
        "The model in blue; in grey predicting nothing, predicting the most common genres, and "
        "logistic regression on words, on coarse poster features and on both. F1 at thresholds "
        "fitted on validation movies, for all of them alike.",
    )


def _points(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return report.get("operating_points", {})


def _value(report: Mapping[str, Any], metric: str, average: str) -> float | None:
    """Looks a metric up: F1 at the fitted thresholds, where there are any."""
    fitted = _points(report).get(_FITTED, {})
    return (fitted if metric in fitted else report)[metric][average]
