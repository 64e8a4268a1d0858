"""Confidence intervals of evaluation metrics: the bootstrap over movies. NumPy only.

Each resample draws as many movies as there are, with replacement (Efron, 1979), which is the same
as giving each movie a weight: how often it was drawn. So everything is ranked once, and the metrics
of all resamples are sums of weights along that order.

Two models are compared on the same resamples: what makes a drawn set of movies easy for one makes
it easy for the other, so that the interval of their difference is narrower than either's own.
"""

import functools
from collections.abc import Mapping
from typing import Final

import numpy as np

from mmgenre.evaluation.results import Interval

_NUM_RESAMPLES: Final = 500
_LEVEL: Final = 0.95

Resampled = Mapping[str, np.ndarray]
"""Values <float64>[resamples] of "f1 micro", "f1 macro", "roc_auc macro" and "average_precision
macro"; NaN where a resample does not define one."""


def resample(
    labels: np.ndarray,
    scores: np.ndarray,
    for_micro: np.ndarray,
    for_macro: np.ndarray,
    *,
    num_resamples: int = _NUM_RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Returns the four metrics that models are compared by, in each resample.

    As many movies are resampled alike every time, so that results for two models are pairs.

    Args:
      labels: <bool>[movies, genres].
      scores: <float>[movies, genres], probabilities or logits: only their order counts.
      for_micro: <bool>[movies, genres], the decisions that micro F1 is of.
      for_macro: <bool>[movies, genres], those that macro F1 is of.
      num_resamples: of the bootstrap.
      seed: of the resamples.

    Returns:
      See `Resampled`. A resample without positives of a genre leaves it out of its macro means, and
      one without negatives out of its ranking means, as `metrics.evaluate_probabilities` does.
    """
    weights = _weights(len(labels), num_resamples, seed)
    ranking = [ranking_metrics(labels[:, g], scores[:, g], weights) for g in range(labels.shape[1])]
    aucs, precisions = (np.stack(values) for values in zip(*ranking, strict=True))
    hits, decided = _counts(labels, for_micro, weights)
    micro = 2 * hits.sum(axis=1) / np.maximum(decided.sum(axis=1), 1)
    hits, decided = _counts(labels, for_macro, weights)
    has_positives = weights.T @ labels.astype(np.float32) > 0
    by_genre = np.where(has_positives, 2 * hits / np.maximum(decided, 1), np.nan)
    return {
        "f1 micro": micro,
        "f1 macro": _mean_of_defined(by_genre, axis=1),
        "roc_auc macro": _mean_of_defined(aucs),
        "average_precision macro": _mean_of_defined(precisions),
    }


def intervals(resampled: Resampled) -> dict[str, Interval | None]:
    """Returns the 95% percentile interval of each metric; None of what no resample defines."""
    return {name: _interval(values) for name, values in resampled.items()}


def paired_intervals(first: Resampled, second: Resampled) -> dict[str, Interval | None]:
    """Returns the 95% intervals of the first's metrics minus the second's, on the same movies."""
    return {name: _interval(values - second[name]) for name, values in first.items()}


@functools.lru_cache(maxsize=2)  # All movies of a split, and those with a poster.
def _weights(num_movies: int, num_resamples: int, seed: int) -> np.ndarray:
    """Returns <float32>[movies, resamples]: how often each movie is drawn; counts are exact."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(num_movies, size=(num_resamples, num_movies))
    weights = [np.bincount(row, minlength=num_movies) for row in drawn]
    return np.ascontiguousarray(np.stack(weights, axis=1).astype(np.float32))


def _counts(
    labels: np.ndarray, predictions: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns true positives, and predictions and positives together, [resamples, genres] each."""
    hits = weights.T @ (labels & predictions).astype(np.float32)
    decided = weights.T @ (labels.astype(np.float32) + predictions.astype(np.float32))
    return hits.astype(np.float64), decided.astype(np.float64)


def _mean_of_defined(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Returns the means <float64>[resamples] over genres, on `axis`; NaN where all of them are."""
    defined = ~np.isnan(values)
    sums, counts = np.where(defined, values, 0).sum(axis), defined.sum(axis)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _interval(values: np.ndarray) -> Interval | None:
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2])
    return float(low), float(high)


def ranking_metrics(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ROC AUC and average precision <float64>[resamples], as scikit-learn defines them.

    NaN where a resample has no positives or no negatives: there is nothing to rank then. Both are
    sums over the positives, so that only the movies drawn up to each of them are counted.

    Args:
      labels: <bool>[movies].
      scores: <float>[movies].
      weights: <float32>[movies, resamples], how often each movie counts.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, places = scores[order], np.flatnonzero(labels[order])
    first_of_tie = np.append(True, ranked[1:] != ranked[:-1])
    starts = np.flatnonzero(first_of_tie)
    tie = np.cumsum(first_of_tie)[places] - 1  # The tie of each positive.
    start, end = starts[tie], np.append(starts[1:], len(ranked))[tie]
    drawn = np.zeros((len(ranked) + 1, weights.shape[1]), np.float32)
    np.cumsum(weights[order], axis=0, out=drawn[1:])
    own = weights[order[places]].astype(np.float64)
    hits = np.zeros((len(places) + 1, weights.shape[1]))
    np.cumsum(own, axis=0, out=hits[1:])
    hits_before = hits[np.searchsorted(places, start)]
    hits_up_to_end = hits[np.searchsorted(places, end)]
    positives, all_drawn = hits[-1], drawn[-1].astype(np.float64)
    negatives = all_drawn - positives
    up_to_end = drawn[end].astype(np.float64)
    # Negatives ahead of each positive; those of its own tie count half.
    ahead = (drawn[start] - hits_before + up_to_end - hits_up_to_end) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # Where nothing is drawn up to a positive, it is not drawn itself.
        precision = hits_up_to_end / np.maximum(up_to_end, 1)
        average_precision = (own * precision).sum(axis=0) / positives
        roc_auc = 1 - (own * ahead).sum(axis=0) / (positives * negatives)
    undefined = (positives == 0) | (negatives == 0)
    return (
        np.where(undefined, np.nan, roc_auc),
        np.where(undefined, np.nan, average_precision),
    )
