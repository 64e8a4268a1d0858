"""What logits are worth: all metrics at threshold 0.5, fitted thresholds beside them."""

from typing import Any, Final

import numpy as np

from mmgenre.evaluation import confidence, metrics
from mmgenre.evaluation.decision_rule import DEFAULT_THRESHOLD, DecisionRule

HALF: Final = "0.5"
GLOBAL: Final = "global"
PER_GENRE: Final = "per genre"

_AT_POINT: Final = ("accuracy", "exact_match", "precision", "recall", "f1")
_NEAR_NOTHING: Final = 0.02


def evaluate_logits(labels: np.ndarray, logits: np.ndarray, rule: DecisionRule) -> dict[str, Any]:
    """Computes everything that is reported of one model's answers for one set of movies.

    Args:
      labels: [movies, 18], 0 or 1.
      logits: <float>[movies, 18].
      rule: fitted on other movies, or the default one.

    Returns:
      `metrics.evaluate_probabilities` of the plain sigmoid at threshold 0.5, with "log_loss" at the
      rule's temperatures; "operating_points": for threshold 0.5, the global one and those per
      genre, the "thresholds" and what depends on them ("accuracy", "exact_match", "precision",
      "recall" and "f1"); and "confidence_intervals" (`confidence.confidence_intervals`), at the
      thresholds per genre.
    """
    probabilities = rule.probabilities(logits)
    actual = labels.astype(bool)
    points = {}
    for name, thresholds in _choices(rule).items():
        at_point = metrics.evaluate_decisions(actual, probabilities >= np.asarray(thresholds))
        points[name] = {"thresholds": thresholds, **{m: at_point[m] for m in _AT_POINT}}
    return {
        **metrics.evaluate_probabilities(labels, metrics.sigmoid(logits)),
        "log_loss": metrics.log_loss(logits / np.asarray(rule.temperatures), labels),
        "operating_points": points,
        "confidence_intervals": confidence.confidence_intervals(
            actual, probabilities, rule.decide(probabilities)
        ),
    }


def _choices(rule: DecisionRule) -> dict[str, float | list[float]]:
    return {
        HALF: DEFAULT_THRESHOLD,
        GLOBAL: rule.global_threshold,
        PER_GENRE: list(rule.thresholds),
    }


def accuracy_warning(report: dict[str, Any], nothing: dict[str, Any]) -> str | None:
    """Returns a sentence where a model's accuracy says as little as predicting no genre at all."""
    gap = report["accuracy"] - nothing["accuracy"]
    if gap > _NEAR_NOTHING:
        return None
    place = "below" if gap < 0 else "within two points of"
    return (
        f"accuracy ({report['accuracy']:.3f}) is {place} that of predicting nothing "
        f"({nothing['accuracy']:.3f}): compare F1, ROC AUC and average precision instead"
    )
