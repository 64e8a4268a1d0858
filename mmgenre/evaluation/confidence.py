"""Confidence intervals of evaluation metrics: the bootstrap over movies. NumPy only.

Each resample draws as many movies as there are, with replacement (Efron, 1979), which is the same
as giving each movie a weight: how often it was drawn. So everything is ranked once, and the metrics
of all resamples are sums of weights along that order.
"""

from typing import Final

import numpy as np

from mmgenre.evaluation.results import Interval

_NUM_RESAMPLES: Final = 500
_LEVEL: Final = 0.95


def confidence_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    predictions: np.ndarray,
    *,
    num_resamples: int = _NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Returns the 95% percentile intervals of the four metrics that models are compared by.

    Args:
      labels: <bool>[movies, genres].
      probabilities: <float>[movies, genres].
      predictions: <bool>[movies, genres].
      num_resamples: of the bootstrap.
      seed: of the resamples.

    Returns:
      (low, high) of "f1 micro", "f1 macro", "roc_auc macro" and "average_precision macro"; None of
      what no resample defines. A resample without positives (or negatives) of a genre leaves it out
      of its ranking means, as `metrics.evaluate_probabilities` does; one that can rank no genre is
      left out itself.
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
    aucs, precisions = (np.stack(values) for values in zip(*ranking, strict=True))
    return {
        "f1 micro": _interval(f1_micro),
        "f1 macro": _interval(f1_macro),
        "roc_auc macro": _interval(_mean_of_defined(aucs)),
        "average_precision macro": _interval(_mean_of_defined(precisions)),
    }


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Returns the means <float64>[resamples] over genres; NaN where all of them are."""
    defined = ~np.isnan(values)
    sums, counts = np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _interval(values: np.ndarray) -> Interval | None:
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2])
    return float(low), float(high)


def ranking_metrics(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ROC AUC and average precision <float64>[resamples], as scikit-learn defines them.

    NaN where a resample has no positives or no negatives: there is nothing to rank then.

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
        roc_auc = area / (num_positive * num_negative)
    return roc_auc, np.where(num_negative > 0, average_precision, np.nan)
