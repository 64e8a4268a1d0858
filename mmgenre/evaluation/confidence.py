"""Confidence intervals of evaluation metrics: the bootstrap over movies. NumPy only.

Each resample draws as many movies as there are, with replacement (Efron, 1979), which is the same
as giving each movie a weight: how often it was drawn. So everything is ranked once, and the metrics
of all resamples are sums of weights along that order.
"""

from typing import Final

import numpy as np

_NUM_RESAMPLES: Final = 500
_LEVEL: Final = 0.95


def confidence_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    predictions: np.ndarray,
    *,
    num_resamples: int = _NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns the 95% percentile intervals of the four metrics that models are compared by.

    Args:
      labels: <bool>[movies, genres].
      probabilities: <float>[movies, genres].
      predictions: <bool>[movies, genres].
      num_resamples: of the bootstrap.
      seed: of the resamples.

    Returns:
      (low, high) of "f1 micro", "f1 macro", "roc_auc macro" and "average_precision macro". A
      resample without positives (or negatives) of a genre leaves it out of its ranking means, as
      `metrics.evaluate_probabilities` does.
    """
    num_movies = len(labels)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(num_movies, size=(num_resamples, num_movies))
    weights = np.stack([np.bincount(row, minlength=num_movies) for row in drawn])
    ranking = [
        ranking_metrics(labels[:, g], probabilities[:, g], weights) for g in range(labels.shape[1])
    ]
    true_positives = weights @ (labels & predictions)
    decided = weights @ predictions.astype(np.int64) + weights @ labels.astype(np.int64)
    f1_macro = (2 * true_positives / np.maximum(decided, 1)).mean(axis=1)
    f1_micro = 2 * true_positives.sum(axis=1) / np.maximum(decided.sum(axis=1), 1)
    samples = {
        "f1 micro": f1_micro,
        "f1 macro": f1_macro,
        "roc_auc macro": np.nanmean([auc for auc, _ in ranking], axis=0),
        "average_precision macro": np.nanmean([ap for _, ap in ranking], axis=0),
    }
    tails = 100 * np.asarray([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {
        name: tuple(float(x) for x in np.percentile(values, tails))
        for name, values in samples.items()
    }


def ranking_metrics(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ROC AUC and average precision <float64>[resamples], as scikit-learn defines them.

    Args:
      labels: <bool>[movies].
      probabilities: <float>[movies].
      weights: <int>[resamples, movies], how often each movie counts.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, positive = probabilities[order], labels[order]
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    weights = weights[:, order]
    hits = np.cumsum(weights * positive, axis=1)[:, last_of_tie]
    drawn = np.cumsum(weights, axis=1)[:, last_of_tie]
    zeros = np.zeros((len(weights), 1), hits.dtype)
    new_hits = np.diff(hits, axis=1, prepend=zeros)
    misses = drawn - hits
    new_misses = np.diff(misses, axis=1, prepend=zeros)
    num_positive, num_negative = hits[:, -1], misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(drawn > 0, hits / drawn, 0)
        average_precision = (new_hits * precision).sum(axis=1) / num_positive
        area = (new_misses * (hits - new_hits / 2)).sum(axis=1)
        return area / (num_positive * num_negative), average_precision
