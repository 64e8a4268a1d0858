"""What a model must beat, on the same splits with the same metrics.

Predicting nothing, predicting the most common genres, logistic regression on TF-IDF, on coarse
poster features, and on both. All are fitted on the train split; temperatures and thresholds are
fitted on the validation split, as a run's are.
"""

import logging
from typing import Any, Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset, open_dataset
from mmgenre.errors import UserError
from mmgenre.evaluation import operating_points
from mmgenre.evaluation.baseline_models import Movies, PosterModel, TfidfModel
from mmgenre.evaluation.calibration import fit_decision_rule
from mmgenre.evaluation.decision_rule import DecisionRule

_log = logging.getLogger(__name__)

NOTHING: Final = "nothing"
MOST_COMMON: Final = "most_common_genres"
TFIDF: Final = "tfidf_logistic_regression"
POSTER_FEATURES: Final = "poster_features_logistic_regression"
TFIDF_AND_POSTER: Final = "tfidf_and_poster_features"

_SURELY_NOT: Final = -30.0


def evaluate_baselines(
    dataset: PreparedDataset, split: str, trained_on: DatasetInfo, trained_path: str
) -> dict[str, dict[str, Any]]:
    """Fits the baselines on a run's train split and evaluates them on another split.

    Args:
      dataset: the data set to evaluate on.
      split: the split of it.
      trained_on: the data set that the run is trained on.
      trained_path: its folder; where it is gone, only the trivial baselines are left.

    Returns:
      For each baseline by name, `operating_points.evaluate_logits` without "per_genre", and with
      "with_poster": the same over the movies that have a poster (null where there are none).

    Raises:
      UserError: a split or a shard is missing or damaged.
    """
    movies = read_movies(dataset, split)
    num_movies = len(movies.labels)
    answers = {
        NOTHING: (np.full((num_movies, schema.NUM_GENRES), _SURELY_NOT), DecisionRule()),
        MOST_COMMON: (np.tile(most_common_logits(trained_on), (num_movies, 1)), DecisionRule()),
    }
    try:
        home = dataset if dataset.info == trained_on else open_dataset(trained_path)
    except UserError as error:
        _log.warning("only trivial baselines: the run's own data set is not there (%s)", error)
    else:
        answers |= _fitted(home, movies)
    reports = {}
    for name, (logits, rule) in answers.items():
        reports[name] = _evaluate(movies.labels, logits, rule)
        seen = movies.has_poster
        reports[name]["with_poster"] = (
            _evaluate(movies.labels[seen], logits[seen], rule) if seen.any() else None
        )
    return reports


def _evaluate(labels: np.ndarray, logits: np.ndarray, rule: DecisionRule) -> dict[str, Any]:
    report = operating_points.evaluate_logits(labels, logits, rule)
    del report["per_genre"]
    return report


def _fitted(home: PreparedDataset, movies: Movies) -> dict[str, tuple[np.ndarray, DecisionRule]]:
    """Returns the logits of the fitted baselines and the rules fitted on validation."""
    train = read_movies(home, schema.TRAIN)
    text, poster = TfidfModel(train), PosterModel(train)

    def answer(of: Movies) -> dict[str, np.ndarray]:
        words, pixels = text.logits(of), poster.logits(of)
        # The sum of two log-odds counts the genre's frequency twice.
        return {
            TFIDF: words,
            POSTER_FEATURES: pixels,
            TFIDF_AND_POSTER: words + pixels - poster.prior,
        }

    logits = answer(movies)
    if schema.VALIDATION not in home.info.splits:
        return {name: (values, DecisionRule()) for name, values in logits.items()}
    validation = read_movies(home, schema.VALIDATION)
    fitted_on = answer(validation)
    return {
        name: (
            values,
            fit_decision_rule(fitted_on[name], validation.labels, schema.VALIDATION),
        )
        for name, values in logits.items()
    }


def read_movies(dataset: PreparedDataset, split: str) -> Movies:
    """Reads a whole split; raises UserError where a shard is missing or damaged."""
    from mmgenre.dataset.read_split import read_split  # TensorFlow.

    names = (schema.OVERVIEW, schema.POSTER, schema.HAS_POSTER, schema.LABELS)
    overviews, posters, has_poster, labels = read_split(dataset, split, *names).values()
    return Movies(overviews, posters, has_poster, labels)


def most_common_logits(info: DatasetInfo) -> np.ndarray:
    """Returns <float64>[18]: scores in the order of the genres' frequency in the train split.

    As many genres as a movie has on average have 0 or more, so these are predicted for all.
    """
    train = info.splits[schema.TRAIN]
    frequencies = np.asarray(train.genre_counts, np.float64) / train.num_movies
    num_predicted = max(1, round(float(frequencies.sum())))
    weakest = np.sort(frequencies)[-num_predicted]
    return 10 * (frequencies - weakest)
