"""Evaluation of logits: all metrics at threshold 0.5, fitted thresholds beside them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmgenre.decisions.decision_rule import DEFAULT_THRESHOLD, Answers, DecisionRule
from mmgenre.evaluation import confidence, metrics
from mmgenre.evaluation.results import (
    FOR_MACRO_F1,
    FOR_MICRO_F1,
    DecisionScores,
    Evaluation,
    OperatingPoint,
)

HALF: Final = "0.5"
POINTS: Final = (HALF, FOR_MICRO_F1, FOR_MACRO_F1)

_NEAR_NOTHING: Final = 0.02


def evaluate_logits(labels: np.ndarray, logits: np.ndarray, rule: DecisionRule) -> Evaluation:
    """As `evaluate_answers`, where one rule decides on all movies."""
    return evaluate_answers(labels, logits, rule.answers(logits), rule.names)


def evaluate_answers(
    labels: np.ndarray,
    logits: np.ndarray,
    answers: Answers,
    genres: Sequence[str],
    resampled: confidence.Resampled | None = None,
) -> Evaluation:
    """Computes everything that is reported of one model's answers for one set of movies.

    Args:
      labels: [movies, genres], 0 or 1.
      logits: <float>[movies, genres].
      answers: to these logits, by rules that were fitted on other movies, or the default one.
      genres: their names.
      resampled: by `resample_answers`, where it is there already.

    Returns:
      The evaluation, with an operating point for each of `POINTS`.
    """
    actual = labels.astype(bool)
    plain = DecisionRule.default(genres).probabilities(logits)
    points = {}
    for name, decided, thresholds in (
        (HALF, plain >= DEFAULT_THRESHOLD, None),
        (FOR_MICRO_F1, answers.predicted_for_micro, answers.micro_thresholds),
        (FOR_MACRO_F1, answers.predicted, answers.thresholds),
    ):
        at_point = metrics.evaluate_decisions(actual, decided)
        points[name] = OperatingPoint(
            **vars(at_point),
            thresholds=_in_short(thresholds),
            f1_by_genre=metrics.f1_by_genre(actual, decided),
        )
    if resampled is None:
        resampled = resample_answers(labels, logits, answers)
    return Evaluation(
        **vars(metrics.evaluate_probabilities(labels, plain, genres=genres, ranked_by=logits)),
        log_loss=metrics.log_loss(answers.logits, labels),
        operating_points=points,
        confidence_intervals=confidence.intervals(resampled),
    )


def _in_short(thresholds: np.ndarray | None) -> float | tuple[float, ...]:
    """Returns thresholds <float>[movies, genres] as a file says them: each genre's most usual."""
    if thresholds is None:
        return DEFAULT_THRESHOLD
    return tuple(map(float, np.median(thresholds, axis=0)))


def resample_answers(
    labels: np.ndarray, logits: np.ndarray, answers: Answers
) -> confidence.Resampled:
    """Returns what models are compared by, each F1 at its own thresholds, in resamples."""
    return confidence.resample(
        labels.astype(bool), logits, answers.predicted_for_micro, answers.predicted
    )


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
