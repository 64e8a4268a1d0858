"""Fitting a `DecisionRule` on a validation split: temperatures first, then thresholds.

The threshold that is best for F1 is not 0.5: for a calibrated probability it is half of the best F1
(Lipton et al., 2014), so about 0.3 here. A genre with few positives has a noisy best threshold,
which is therefore drawn toward the one that is best for all genres together. NumPy and SciPy only.
"""

from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.curves import ranked_curve
from mmgenre.thresholds import DecisionRule

_SHRINKAGE: Final = 50
"""Positives at which a genre's own threshold and the global one weigh the same."""

_LOG_TEMPERATURES: Final = (-2.0, 2.0)
"""Bounds of log(temperature): at a bound the fit says that a genre's logits mean little."""


def fit_decision_rule(logits: np.ndarray, labels: np.ndarray, chosen_on: str) -> DecisionRule:
    """Fits one temperature and one threshold a genre.

    Args:
      logits: <float32>[movies, 18], of a split that the model was not trained on.
      labels: [movies, 18], 0 or 1.
      chosen_on: what to call the split.

    Returns:
      Temperatures that minimise the log loss (Guo et al., 2017), thresholds on the probabilities
      at these temperatures that maximise F1, and the global threshold that maximises micro F1. A
      genre that no movie or every movie has keeps temperature 1 and takes the global threshold.
    """
    labels = np.asarray(labels).astype(bool)
    temperatures = tuple(
        fit_temperature(logits[:, g], labels[:, g]) for g in range(schema.NUM_GENRES)
    )
    probabilities = DecisionRule(temperatures=temperatures).probabilities(logits)
    global_threshold = best_f1_threshold(labels.ravel(), probabilities.ravel())
    thresholds = []
    for g in range(schema.NUM_GENRES):
        own = best_f1_threshold(labels[:, g], probabilities[:, g], global_threshold)
        positives = int(labels[:, g].sum())
        weight = positives / (positives + _SHRINKAGE)
        thresholds.append(weight * own + (1 - weight) * global_threshold)
    return DecisionRule(tuple(thresholds), temperatures, global_threshold, chosen_on)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature that minimises one genre's log loss; 1 where there is one class.

    Args:
      logits: <float>[movies].
      labels: <bool>[movies].
    """
    from scipy.optimize import minimize_scalar

    if labels.all() or not labels.any():
        return 1.0
    logits = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - scaled * labels))

    fit = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(fit.x))


def best_f1_threshold(
    labels: np.ndarray, probabilities: np.ndarray, otherwise: float = 0.5
) -> float:
    """Returns the threshold with the highest F1; `otherwise` where there are no positives.

    It lies midway between two neighbouring probabilities, so that rounding decides nothing.

    Args:
      labels: <bool>[n].
      probabilities: <float>[n].
      otherwise: returned where nothing can be fitted.
    """
    if not labels.any():
        return otherwise
    curve = ranked_curve(labels, probabilities)
    best = 1 + int(np.argmax(curve.f1[1:]))  # The first point predicts nothing.
    below = curve.thresholds[best + 1] if best + 1 < len(curve.thresholds) else 0.0
    return float((curve.thresholds[best] + below) / 2)
