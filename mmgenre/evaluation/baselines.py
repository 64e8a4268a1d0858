"""Baselines that a model must beat, on the same splits with the same metrics.

Predicting nothing, predicting the most common genres, logistic regression on TF-IDF, on coarse
poster features, and on both. All are fitted on the train split; temperatures and thresholds are
fitted on the validation split, as a run's are.
"""

import dataclasses
from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset
from mmgenre.evaluation import operating_points
from mmgenre.evaluation.baseline_models import CannotBeFittedError, Movies, PosterModel, TfidfModel
from mmgenre.evaluation.calibration import fit_decision_rule
from mmgenre.evaluation.decision_rule import DecisionRule
from mmgenre.evaluation.results import BaselineEvaluation, Baselines, Evaluation, NotFitted

NOTHING: Final = "nothing"
MOST_COMMON: Final = "most_common_genres"
TFIDF: Final = "tfidf_logistic_regression"
POSTER_FEATURES: Final = "poster_features_logistic_regression"
TFIDF_AND_POSTER: Final = "tfidf_and_poster_features"

_FITTED: Final = (TFIDF, POSTER_FEATURES, TFIDF_AND_POSTER)
_SURELY_NOT: Final = -30.0

FEATURES: Final = (schema.OVERVIEW, schema.POSTER, schema.HAS_POSTER, schema.LABELS)
"""What a baseline needs to know of a movie: `Movies`, in the order of its fields."""


def evaluate_baselines(
    movies: Movies, trained_on: DatasetInfo, home: PreparedDataset | NotFitted
) -> Baselines:
    """Fits the baselines on a train split and evaluates them on other movies.

    Args:
      movies: to evaluate on.
      trained_on: what the network beside them is trained on.
      home: the same data set, or why it cannot be read; then only trivial baselines are left.

    Returns:
      By name, in this module's order, the evaluation without "per_genre", or why there is none.

    Raises:
      UserError: a shard is missing or damaged.
    """
    num_movies = len(movies.labels)
    rule = DecisionRule.default(trained_on.genres)
    nothing = np.full(movies.labels.shape, _SURELY_NOT)
    baselines: Baselines = {NOTHING: _evaluate(movies, nothing, rule)}
    if schema.TRAIN not in trained_on.splits:
        return baselines | dict.fromkeys((MOST_COMMON, *_FITTED), NotFitted.NO_TRAIN_SPLIT)
    common = np.tile(most_common_logits(trained_on), (num_movies, 1))
    baselines[MOST_COMMON] = _evaluate(movies, common, rule)
    if isinstance(home, NotFitted):
        return baselines | dict.fromkeys(_FITTED, home)
    return baselines | _evaluate_fitted(home, movies)


def _evaluate(movies: Movies, logits: np.ndarray, rule: DecisionRule) -> BaselineEvaluation:
    def evaluate(chosen: np.ndarray | slice) -> Evaluation:
        found = operating_points.evaluate_logits(movies.labels[chosen], logits[chosen], rule)
        return dataclasses.replace(found, per_genre={})

    seen = movies.has_poster
    with_poster = evaluate(seen) if seen.any() else None
    return BaselineEvaluation(**vars(evaluate(slice(None))), with_poster=with_poster)


def _evaluate_fitted(home: PreparedDataset, movies: Movies) -> Baselines:
    """Evaluates the fitted baselines, at temperatures and thresholds fitted on validation."""
    fitted = _FittedBaselines(read_movies(home, schema.TRAIN))
    answers = fitted.logits(movies)
    genres = home.info.genres
    rules = dict.fromkeys(answers, DecisionRule.default(genres))
    if schema.VALIDATION in home.info.splits:
        validation = read_movies(home, schema.VALIDATION)
        for name, logits in fitted.logits(validation).items():
            rules[name] = fit_decision_rule(logits, validation.labels, schema.VALIDATION, genres)
    return {
        name: _evaluate(movies, answers[name], rules[name])
        if name in answers
        else fitted.missing[name]
        for name in _FITTED
    }


class _FittedBaselines:
    """The baselines that learn; `missing` says why some could not."""

    def __init__(self, train: Movies):
        self.missing: dict[str, NotFitted] = {}
        self._text: TfidfModel | None = None
        self._poster: PosterModel | None = None
        try:
            self._text = TfidfModel(train)
        except CannotBeFittedError as error:
            self.missing[TFIDF] = self.missing[TFIDF_AND_POSTER] = error.reason
        try:
            self._poster = PosterModel(train)
        except CannotBeFittedError as error:
            self.missing[POSTER_FEATURES] = error.reason
            self.missing.setdefault(TFIDF_AND_POSTER, error.reason)

    def logits(self, movies: Movies) -> dict[str, np.ndarray]:
        """Returns <float64>[movies, genres] of each baseline that could be fitted."""
        logits = {}
        if self._text is not None:
            logits[TFIDF] = self._text.logits(movies)
        if self._poster is not None:
            logits[POSTER_FEATURES] = self._poster.logits(movies)
        if self._text is not None and self._poster is not None:
            # The sum of two log-odds counts the genre's frequency twice.
            both = logits[TFIDF] + logits[POSTER_FEATURES] - self._poster.prior
            logits[TFIDF_AND_POSTER] = both
        return logits


def read_movies(dataset: PreparedDataset, split: str) -> Movies:
    """Reads a whole split; raises UserError where a shard is missing or damaged."""
    from mmgenre.dataset.read_split import read_split  # TensorFlow.

    return Movies(*read_split(dataset, split, *FEATURES).values())


def most_common_logits(info: DatasetInfo) -> np.ndarray:
    """Returns <float64>[genres]: scores in the order of the genres' frequency in the train split.

    As many genres as a movie has on average have 0 or more, so these are predicted for all.
    """
    train = info.splits[schema.TRAIN]
    frequencies = np.asarray(train.genre_counts, np.float64) / train.num_movies
    num_predicted = max(1, round(float(frequencies.sum())))
    weakest = np.sort(frequencies)[-num_predicted]
    return 10 * (frequencies - weakest)
