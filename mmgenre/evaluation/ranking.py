"""How well what is true is ranked before what is not, of many columns in one pass. NumPy only.

The same figures as scikit-learn's `average_precision_score` and `roc_auc_score`, which look at one
column a call: for the mean over some thousand movies that took a second, after each epoch.
"""

import numpy as np


def rank(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks each column by falling scores; ties are one point of its curve.

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
