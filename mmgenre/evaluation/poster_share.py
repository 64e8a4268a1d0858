"""Each half's share of a decision: how far the answer moves when the half is withheld. NumPy."""

import numpy as np

from mmgenre.evaluation.split_record import SplitRecord


def poster_share(
    logits: np.ndarray, poster_logits: np.ndarray, overview_logits: np.ndarray
) -> np.ndarray:
    """Returns the poster's share of each decision, in [0, 1]; the rest is the overview's.

    The share is that of the change in logit: with the poster withheld, against the sum of that and
    the change with the overview withheld. 0.5 where neither changes anything.

    Args:
      logits: <float>[...], with both halves.
      poster_logits: <float>[...], with the poster alone.
      overview_logits: <float>[...], with the overview alone.
    """
    without_poster = np.abs(logits - overview_logits)
    without_overview = np.abs(logits - poster_logits)
    total = without_poster + without_overview
    return np.where(total > 0, without_poster / np.where(total > 0, total, 1), 0.5)


def has_both(record: SplitRecord) -> np.ndarray:
    """Returns <bool>[movies]: which movies have a poster and an overview."""
    return record.has_poster & (record.num_tokens > 0)


def poster_share_per_genre(record: SplitRecord) -> np.ndarray:
    """Returns the poster's mean share <float>[genres] over the movies of each genre that have both.

    NaN for a genre that no such movie has.
    """
    shares = poster_share(record.logits, record.poster_logits, record.overview_logits)
    weights = record.labels.astype(bool) & has_both(record)[:, None]
    counts = weights.sum(axis=0)
    sums = (shares * weights).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
