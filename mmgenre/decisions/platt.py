"""Probabilities from logits: a scale and a bias for each genre (Platt, 1999). NumPy only.

A temperature alone cannot move a genre whose logits are all too high. But a scale and a bias for
each genre, fitted on two hundred movies, follow chance. So the genres share one of each, from which
a genre's own may depart as far as held-out movies say that it pays.
"""

from typing import Final, NamedTuple

import numpy as np

_SPREADS: Final = ((0.0, 0.0), (0.1, 0.2), (0.3, 0.5), (1.0, 2.0))
"""Standard deviations that genres' scales and biases may have around the shared ones."""

_FOLDS: Final = 5
_STEPS: Final = 50
_BOUNDS: Final = (np.exp(-2.0), np.exp(2.0))
"""Of a scale: at a bound the fit says that a genre's logits mean little, or much."""


class Platt(NamedTuple):
    """Scales and biases <float64>[genres]: the calibrated logit is scale * logit + bias."""

    scales: np.ndarray
    biases: np.ndarray

    def calibrate(self, logits: np.ndarray) -> np.ndarray:
        """Returns calibrated logits <float64>[movies, genres]."""
        return logits * self.scales + self.biases


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> Platt:
    """Fits them by the log loss of a split that the model was not trained on.

    How far genres depart from the shared fit is chosen by cross-validation.

    Args:
      logits: <float>[movies, genres].
      labels: <bool>[movies, genres].
    """
    logits, targets = logits.astype(np.float64), labels.astype(np.float64)
    fold = np.random.default_rng(0).permutation(len(logits)) % _FOLDS
    losses = dict.fromkeys(_SPREADS, 0.0)
    for held_out in range(min(_FOLDS, len(logits)) if len(logits) > 1 else 0):
        rest, own = fold != held_out, fold == held_out
        shared = _fit_shared(logits[rest], targets[rest])
        for spread in _SPREADS:
            fitted = _fit_around(shared, logits[rest], targets[rest], spread)
            losses[spread] += _losses(fitted.calibrate(logits[own]), targets[own]).sum()
    best = min(losses, key=lambda spread: losses[spread])
    return _fit_around(_fit_shared(logits, targets), logits, targets, best)


def _fit_shared(logits: np.ndarray, targets: np.ndarray) -> Platt:
    """Returns one scale and one bias for all genres, [1] each."""
    start = Platt(np.ones(1), np.zeros(1))
    return _newton(start, logits.reshape(-1, 1), targets.reshape(-1, 1), (1e-2, 1e-2))


def _fit_around(
    shared: Platt, logits: np.ndarray, targets: np.ndarray, spread: tuple[float, float]
) -> Platt:
    each = Platt(*(np.repeat(values, logits.shape[1]) for values in shared))
    if not any(spread):
        return each
    return _newton(each, logits, targets, (spread[0] ** -2, spread[1] ** -2))


def _newton(
    prior: Platt, logits: np.ndarray, targets: np.ndarray, precision: tuple[float, float]
) -> Platt:
    """Minimises the log loss of each column, with a normal prior around `prior`, by Newton."""

    def objective(at: Platt) -> np.ndarray:
        departure = precision[0] * (at.scales - prior.scales) ** 2
        departure += precision[1] * (at.biases - prior.biases) ** 2
        return _losses(at.calibrate(logits), targets) + departure / 2

    found, value = prior, objective(prior)
    for _ in range(_STEPS):
        probabilities = 0.5 * (1 + np.tanh(0.5 * found.calibrate(logits)))
        error, curvature = probabilities - targets, probabilities * (1 - probabilities)
        slope = (error * logits).sum(0) + precision[0] * (found.scales - prior.scales)
        slope_bias = error.sum(0) + precision[1] * (found.biases - prior.biases)
        scale_scale = (curvature * logits**2).sum(0) + precision[0]
        scale_bias = (curvature * logits).sum(0)
        bias_bias = curvature.sum(0) + precision[1]
        determinant = scale_scale * bias_bias - scale_bias**2
        step = Platt(
            (bias_bias * slope - scale_bias * slope_bias) / determinant,
            (scale_scale * slope_bias - scale_bias * slope) / determinant,
        )
        length = np.ones(len(slope))
        for _ in range(12):  # Halved where it overshoots.
            tried = Platt(
                np.clip(found.scales - length * step.scales, *_BOUNDS),
                found.biases - length * step.biases,
            )
            worse = ~(objective(tried) <= value)
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        else:
            tried = Platt(*(np.where(worse, a, b) for a, b in zip(found, tried, strict=True)))
        moved = max(np.abs(a - b).max() for a, b in zip(found, tried, strict=True))
        found, value = tried, objective(tried)
        if moved < 1e-6:
            break
    return found


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns the log loss of each genre <float64>[genres], summed over movies."""
    return (np.logaddexp(0, logits) - logits * targets).sum(axis=0)
