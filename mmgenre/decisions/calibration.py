"""Fitting decision rules on a validation split: scales and biases first, then thresholds.

The threshold that is best for F1 is not 0.5: for a calibrated probability it is half of the best F1
(Lipton et al., 2014), so about 0.3 here. The one that happens to be best for the labels of a
thousand movies is noisy. Thresholds maximise instead the F1 that calibrated probabilities let
expect, in which the noise of single labels has no part.

Which F1 matters. Micro F1 pools all decisions, so that one threshold for all genres is best. Macro
F1 is a mean over genres: a rare or difficult one wants a threshold of its own, often so low that
the pooled decisions get worse.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmgenre.decisions.decision_rule import DEFAULT_THRESHOLD, DecisionRule
from mmgenre.decisions.platt import fit_platt
from mmgenre.decisions.situations import SituationRules

_SHRINKAGE: Final = 5
"""Positives at which a genre's own threshold and that for micro F1 weigh the same."""

_LARGEST_SHARE: Final = 0.8
"""Of the movies that a threshold may predict a genre for: "always" is no answer to look at."""

_ENOUGH: Final = 1_000
"""Movies with both halves from which a rule is fitted on them alone, and not on all movies."""


def fit_decision_rule(
    logits: np.ndarray, labels: np.ndarray, chosen_on: str, names: Sequence[str]
) -> DecisionRule:
    """Fits a scale, a bias and two thresholds a genre: for macro F1, and for micro F1.

    Args:
      logits: <float>[movies, genres], of a split that the model was not trained on.
      labels: [movies, genres], 0 or 1.
      chosen_on: what to call the split.
      names: of the genres.

    Returns:
      The default rule where there is no movie. The threshold for micro F1 is one for all genres,
      that for macro F1 a genre's own, drawn toward the former where few movies are of the genre;
      but each predicts a genre for at most four movies in five.
    """
    if not len(logits):
        return DecisionRule.default(names)
    labels = np.asarray(labels).astype(bool)
    platt = fit_platt(logits, labels)
    probabilities = 0.5 * (1 + np.tanh(0.5 * platt.calibrate(logits)))
    pooled = expected_f1_threshold(probabilities.ravel()) if labels.any() else DEFAULT_THRESHOLD
    own = np.array([expected_f1_threshold(column) for column in probabilities.T])
    positives = labels.sum(axis=0)
    weights = positives / (positives + _SHRINKAGE)
    lowest = np.quantile(probabilities, 1 - _LARGEST_SHARE, axis=0)
    thresholds = np.maximum(weights * own + (1 - weights) * pooled, lowest)
    return DecisionRule(
        thresholds=tuple(map(float, thresholds)),
        micro_thresholds=tuple(map(float, np.maximum(pooled, lowest))),
        scales=tuple(map(float, platt.scales)),
        biases=tuple(map(float, platt.biases)),
        chosen_on=chosen_on,
        names=tuple(names),
    )


def fit_situations(
    logits: np.ndarray,
    poster_logits: np.ndarray,
    overview_logits: np.ndarray,
    labels: np.ndarray,
    has_poster: np.ndarray,
    has_overview: np.ndarray,
    chosen_on: str,
    names: Sequence[str],
) -> SituationRules:
    """Fits a rule for movies with both halves, with a poster alone and with an overview alone.

    The poster alone is fitted on all movies that have one, their overviews withheld; likewise the
    overview alone. Both together are fitted on the movies that have both where these are many, and
    else on all: a few hundred movies make worse thresholds than some without a poster.

    Args:
      logits: <float>[movies, genres], with what each movie has.
      poster_logits: with the overview withheld.
      overview_logits: with the poster withheld.
      labels: [movies, genres], 0 or 1.
      has_poster: <bool>[movies].
      has_overview: <bool>[movies].
      chosen_on: what to call the split.
      names: of the genres.
    """
    both = has_poster & has_overview
    if both.sum() < _ENOUGH:
        both = np.ones_like(both)
    return SituationRules(
        *(
            fit_decision_rule(values[movies], labels[movies], chosen_on, names)
            for values, movies in (
                (logits, both),
                (poster_logits, has_poster),
                (overview_logits, has_overview),
            )
        )
    )


def expected_f1_threshold(probabilities: np.ndarray) -> float:
    """Returns the threshold with the highest expected F1.

    Of the k decisions with the highest p, sum(p of them) are expected to be true, and sum(all p)
    in total: 2 sum(p of the k) / (k + sum(all p)) estimates F1 (Lewis, 1995).

    Args:
      probabilities: <float>[n], calibrated.
    """
    values = np.sort(probabilities)[::-1]
    taken = np.arange(1, len(values) + 1)
    last = int(np.argmax(2 * np.cumsum(values) / (taken + values.sum())))
    # Midway to the next one, so that rounding decides nothing.
    return float((values[last] + values[min(last + 1, len(values) - 1)]) / 2)
