"""Fitting a `DecisionRule` on a validation split: temperatures first, then thresholds.

The threshold that is best for F1 is not 0.5: for a calibrated probability it is half of the best F1
(Lipton et al., 2014), so about 0.3 here. The one that happens to be best for the labels of a
thousand movies is noisy. A genre's threshold maximises instead the F1 that its calibrated
probabilities let expect, in which the noise of single labels has no part, and is drawn a little
toward the threshold that is best for all genres together.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from mmgenre.evaluation import metrics
from mmgenre.evaluation.curves import ranked_curve
from mmgenre.evaluation.decision_rule import DEFAULT_THRESHOLD, DecisionRule

_SHRINKAGE: Final = 5
"""Positives at which a genre's own threshold and the global one weigh the same."""

_LOG_TEMPERATURES: Final = (-2.0, 2.0)
"""Bounds of log(temperature): at a bound the fit says that a genre's logits mean little."""


def fit_decision_rule(
    logits: np.ndarray, labels: np.ndarray, chosen_on: str, names: Sequence[str]
) -> DecisionRule:
    """Fits one temperature and one threshold a genre.

    Args:
      logits: <float32>[movies, genres], of a split that the model was not trained on.
      labels: [movies, genres], 0 or 1.
      chosen_on: what to call the split.
      names: of the genres.

    Returns:
      Temperatures that minimise the log loss (Guo et al., 2017), thresholds on the probabilities
      at these temperatures that maximise the expected F1, and the global threshold that maximises
      micro F1. A genre that no movie or every movie has keeps temperature 1 and takes the global
      threshold.
    """
    from scipy.special import expit

    labels = np.asarray(labels).astype(bool)
    temperatures = tuple(fit_temperature(logits[:, g], labels[:, g]) for g in range(len(names)))
    calibrated = dataclasses.replace(DecisionRule.default(names), temperatures=temperatures)
    probabilities = calibrated.probabilities(logits)
    global_threshold = best_f1_threshold(labels.ravel(), probabilities.ravel())
    thresholds = []
    for g in range(len(names)):
        positives = int(labels[:, g].sum())
        if positives in (0, len(labels)):
            thresholds.append(global_threshold)
            continue
        logit = expected_f1_threshold(logits[:, g], labels[:, g])
        own = float(expit(logit / temperatures[g]))
        weight = positives / (positives + _SHRINKAGE)
        thresholds.append(weight * own + (1 - weight) * global_threshold)
    return DecisionRule(tuple(thresholds), temperatures, global_threshold, chosen_on, tuple(names))


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
        return metrics.log_loss(logits / np.exp(log_temperature), labels)

    fit = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(fit.x))


def expected_f1_threshold(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the threshold on one genre's logits with the highest expected F1.

    Probabilities p are the logits after Platt's scaling, a factor and a bias that minimise the log
    loss. Of the k movies with the highest p, sum(p of them) are expected to have the genre, and
    sum(all p) in total: 2 sum(p of the k) / (k + sum(all p)) estimates F1 (Lewis, 1995).

    Args:
      logits: <float>[movies].
      labels: <bool>[movies], with both classes among them.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    order = np.argsort(-logits, kind="stable")
    values, labels = logits[order].astype(np.float64), labels[order]

    def loss(parameters: np.ndarray) -> float:
        log_temperature, bias = parameters
        return metrics.log_loss(values / np.exp(log_temperature) + bias, labels)

    fit = minimize(loss, [0.0, 0.0], bounds=[_LOG_TEMPERATURES, (None, None)], method="L-BFGS-B")
    log_temperature, bias = fit.x
    probabilities = expit(values / np.exp(log_temperature) + bias)
    taken = np.arange(1, len(values) + 1)
    f1 = 2 * np.cumsum(probabilities) / (taken + probabilities.sum())
    last = int(np.argmax(f1))
    # Midway to the next movie, so that rounding decides nothing.
    return float((values[last] + values[min(last + 1, len(values) - 1)]) / 2)


def best_f1_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the threshold with the highest F1; 0.5 where there are no positives.

    It lies midway between two neighbouring probabilities, so that rounding decides nothing.

    Args:
      labels: <bool>[n].
      probabilities: <float>[n].
    """
    if not labels.any():
        return DEFAULT_THRESHOLD
    curve = ranked_curve(labels, probabilities)
    best = 1 + int(np.argmax(curve.f1[1:]))  # The first point predicts nothing.
    below = curve.thresholds[best + 1] if best + 1 < len(curve.thresholds) else 0.0
    return float((curve.thresholds[best] + below) / 2)
