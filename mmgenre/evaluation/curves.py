"""Curves over all thresholds, for one genre or for all decisions pooled. NumPy only."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class RankedCurve:
    """What happens as the threshold falls through every probability, from above the highest.

    Attributes:
      thresholds: <float64>[points], falling; the first one is above every probability.
      true_positives: <int64>[points].
      predicted: <int64>[points].
      positives: in all.
      total: decisions in all.
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    predicted: np.ndarray
    positives: int
    total: int

    @property
    def precision(self) -> np.ndarray:
        """Of what is predicted; 1 where nothing is."""
        return np.where(self.predicted, self.true_positives / np.maximum(self.predicted, 1), 1.0)

    @property
    def recall(self) -> np.ndarray:
        """Of what there is; 0 where there is nothing."""
        return self.true_positives / max(self.positives, 1)

    @property
    def false_positive_rate(self) -> np.ndarray:
        """Of what there is not."""
        return (self.predicted - self.true_positives) / max(self.total - self.positives, 1)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall."""
        return 2 * self.true_positives / np.maximum(self.predicted + self.positives, 1)


def ranked_curve(labels: np.ndarray, probabilities: np.ndarray) -> RankedCurve:
    """Returns the curve of labels <bool>[n] and probabilities <float>[n]; ties are one point."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order].astype(np.float64)
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order])
    return RankedCurve(
        thresholds=np.append(np.inf, ranked[last_of_tie]),
        true_positives=np.append(0, hits[last_of_tie]).astype(np.int64),
        predicted=np.append(0, last_of_tie + 1).astype(np.int64),
        positives=int(labels.sum()),
        total=len(labels),
    )


def rank(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks each of many columns by falling scores, in one pass; ties are one point of its curve.

    The same figures as scikit-learn's `roc_auc_score` and `average_precision_score`, which look at
    one column a call: for the mean over some thousand movies that took a second.

    Args:
      labels: <bool>[n, columns].
      scores: <float>[n, columns].

    Returns:
      The area under each ROC curve and each average precision, <float64>[columns]; NaN where it is
      undefined: the former without positives or without negatives, the latter without positives.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    hits = np.take_along_axis(labels, order, axis=0).astype(np.int64)
    place = np.arange(len(labels))[:, None]
    is_last = np.ones(ranked.shape, bool)
    is_last[:-1] = ranked[1:] != ranked[:-1]
    # The place where the tie that each belongs to ends, and the number up to where it begins.
    end = np.minimum.accumulate(np.where(is_last, place, len(labels))[::-1], axis=0)[::-1]
    is_first = np.ones(ranked.shape, bool)
    is_first[1:] = is_last[:-1]
    start = np.maximum.accumulate(np.where(is_first, place, 0), axis=0)
    true_positives = np.cumsum(hits, axis=0)
    positives = true_positives[-1]
    negatives = len(labels) - positives
    up_to_end = np.take_along_axis(true_positives, end, axis=0)
    before = np.take_along_axis(true_positives - hits, start, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of each positive: the negatives before it, those of its own tie counted half.
        twice = (hits * (start - before + end + 1 - up_to_end)).sum(axis=0)
        roc_auc = 1 - twice / (2.0 * positives * negatives)
        average_precision = (hits * (up_to_end / (end + 1.0))).sum(axis=0) / positives
    roc_auc[(positives == 0) | (negatives == 0)] = np.nan
    average_precision[positives == 0] = np.nan
    return roc_auc, average_precision


def point_at(curve: RankedCurve, threshold: float) -> int:
    """Returns the point of a curve where all that is at least `threshold` is predicted."""
    return int(np.searchsorted(-curve.thresholds, -threshold, side="right")) - 1


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, num_bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean probability, share of positives and count of each bin of equal width.

    Each [bins], those without a movie left out.
    """
    bins = np.minimum((probabilities * num_bins).astype(np.int64), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    kept = counts > 0
    means = np.bincount(bins, weights=probabilities, minlength=num_bins)[kept] / counts[kept]
    shares = np.bincount(bins, weights=labels, minlength=num_bins)[kept] / counts[kept]
    return means, shares, counts[kept]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The expected calibration error: the gap of each of 10 bins, weighted by its movies."""
    means, shares, counts = calibration(labels, probabilities)
    return float((np.abs(means - shares) * counts).sum() / counts.sum())
