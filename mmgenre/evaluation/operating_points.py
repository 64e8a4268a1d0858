"""Evaluation of logits: all metrics at threshold 0.5, fitted thresholds beside them."""

from typing import Final

import numpy as np

from mmgenre.evaluation import confidence, metrics
from mmgenre.evaluation.decision_rule import DEFAULT_THRESHOLD, DecisionRule
from mmgenre.evaluation.results import DecisionScores, Evaluation, OperatingPoint

HALF: Final = "0.5"
GLOBAL: Final = "global"
PER_GENRE: Final = "per genre"
POINTS: Final = (HALF, GLOBAL, PER_GENRE)

_NEAR_NOTHING: Final = 0.02


def evaluate_logits(labels: np.ndarray, logits: np.ndarray, rule: DecisionRule) -> Evaluation:
    """Computes everything that is reported of one model's answers for one set of movies.

    Args:
      labels: [movies, genres], 0 or 1.
      logits: <float>[movies, genres].
      rule: fitted on other movies, or the default one.

    Returns:
      The evaluation, with an operating point for each of `POINTS`.
    """
    probabilities = rule.probabilities(logits)
    actual = labels.astype(bool)
    points = {}
    for name, thresholds in _choices(rule).items():
        at_point = metrics.evaluate_decisions(actual, probabilities >= np.asarray(thresholds))
        points[name] = OperatingPoint(**vars(at_point), thresholds=thresholds)
    plain = DecisionRule.default(rule.names).probabilities(logits)
    return Evaluation(
        **vars(metrics.evaluate_probabilities(labels, plain, genres=rule.names)),
        log_loss=metrics.log_loss(logits / np.asarray(rule.temperatures), labels),
        operating_points=points,
        confidence_intervals=confidence.confidence_intervals(
            actual, probabilities, rule.decide(probabilities)
        ),
    )


def _choices(rule: DecisionRule) -> dict[str, float | tuple[float, ...]]:
    return {HALF: DEFAULT_THRESHOLD, GLOBAL: rule.global_threshold, PER_GENRE: rule.thresholds}


def accuracy_warning(model: DecisionScores, nothing: DecisionScores) -> str | None:
    """Returns a sentence where a model's accuracy says as little as predicting no genre at all."""
    gap = model.accuracy - nothing.accuracy
    if gap > _NEAR_NOTHING:
        return None
    place = "below" if gap < 0 else "within two points of"
    return (
        f"accuracy ({model.accuracy:.3f}) is {place} that of predicting nothing "
        f"({nothing.accuracy:.3f}): compare F1, ROC AUC and average precision instead"
    )
