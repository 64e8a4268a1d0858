"""Models without a network, from scikit-learn: what a network has to beat.

Each is a logistic regression for every genre, on features that need no training: TF-IDF of words
and pairs of words, or coarse statistics of the poster.
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from mmgenre.evaluation.results import NotFitted
from mmgenre.machine import environment

_GRID: Final = 8
_HISTOGRAM_BINS: Final = 8
_POSTERS_AT_ONCE: Final = 1024  # So that their pixels as floats stay below 100 MB.
_AT_ONCE: Final = 4  # Genres that are fitted at the same time.
_LARGEST_LOGIT: Final = 15.0  # Of a genre that all or none of the train split have.


class CannotBeFittedError(Exception):
    """There is nothing that a baseline could learn from; `reason` says what is missing."""

    def __init__(self, reason: NotFitted):
        super().__init__(reason.sentence)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Movies:
    """Movies as the baselines see them.

    Attributes:
      overviews: <str>[movies].
      posters: <uint8>[movies, 64, 64, 3]; zeros where there is none.
      has_poster: <bool>[movies].
      labels: <uint8>[movies, genres].
    """

    overviews: Sequence[str] | np.ndarray
    posters: np.ndarray
    has_poster: np.ndarray
    labels: np.ndarray


class TfidfModel:
    """Logistic regression on TF-IDF of words and pairs of words."""

    def __init__(self, train: Movies):
        """Fits the vocabulary and a classifier for each genre.

        Raises:
          CannotBeFittedError: no word is in two overviews.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        try:
            features = self._vectorizer.fit_transform(train.overviews)
        except ValueError as error:  # Its vocabulary is empty.
            raise CannotBeFittedError(NotFitted.NO_SHARED_WORD) from error
        self._classifiers = _fit(features, train.labels, C=10.0, solver="liblinear")

    def logits(self, movies: Movies) -> np.ndarray:
        """Returns <float64>[movies, genres]."""
        return _logits(self._classifiers, self._vectorizer.transform(movies.overviews))


class PosterModel:
    """Logistic regression on features of a poster, fitted on the movies that have one."""

    def __init__(
        self, train: Movies, features_of: Callable[[np.ndarray], np.ndarray] | None = None
    ):
        """Fits a classifier for each genre.

        Args:
          train: to fit on.
          features_of: posters <uint8>[n, 64, 64, 3] to <float32>[n, m]; `poster_features` if None.

        Raises:
          CannotBeFittedError: no movie has a poster.
        """
        from sklearn.preprocessing import StandardScaler

        seen = train.has_poster
        if not seen.any():
            raise CannotBeFittedError(NotFitted.NO_POSTER)
        frequencies = np.clip(train.labels[seen].mean(axis=0), 1e-6, 1 - 1e-6)
        self.prior = np.log(frequencies / (1 - frequencies))
        self._features_of = features_of or poster_features
        self._scaler = StandardScaler()
        features = self._scaler.fit_transform(self._features_of(train.posters[seen]))
        # Unlike liblinear, lbfgs does not draw the intercept to 0 along with the weights.
        self._classifiers = _fit(features, train.labels[seen], C=1e-3, solver="lbfgs")

    def logits(self, movies: Movies) -> np.ndarray:
        """Returns <float64>[movies, genres]: the prior where a movie has no poster."""
        logits = np.tile(self.prior, (len(movies.labels), 1))
        seen = movies.has_poster
        if seen.any():
            features = self._scaler.transform(self._features_of(movies.posters[seen]))
            logits[seen] = _logits(self._classifiers, features)
        return logits


def poster_features(posters: np.ndarray) -> np.ndarray:
    """Returns <float32>[posters, 408]: coarse colours, a histogram of each channel, edges.

    The mean colour of each cell of an 8x8 grid (192), 8 bins of each channel over the poster (24),
    and in each cell the mean size of the horizontal and of the vertical gradient, with the cell's
    standard deviation of brightness (192).

    Args:
      posters: <uint8>[posters, 64, 64, 3].
    """
    starts = range(0, max(len(posters), 1), _POSTERS_AT_ONCE)
    return np.concatenate(
        [_features(posters[start : start + _POSTERS_AT_ONCE]) for start in starts]
    )


def _features(posters: np.ndarray) -> np.ndarray:
    pixels = posters.astype(np.float32) / 255
    brightness = pixels.mean(axis=-1)
    edges = [np.abs(np.gradient(brightness, axis=axis)) for axis in (1, 2)]
    spread = np.sqrt(np.maximum(_cells(brightness**2) - _cells(brightness) ** 2, 0))
    bins = posters // (256 // _HISTOGRAM_BINS)
    histogram = np.stack([(bins == b).mean(axis=(1, 2)) for b in range(_HISTOGRAM_BINS)], axis=1)
    parts = [_cells(pixels), histogram, *(_cells(edge) for edge in edges), spread]
    return np.concatenate([part.reshape(len(posters), -1) for part in parts], axis=1)


def _cells(x: np.ndarray) -> np.ndarray:
    """Means over the cells of the grid: [n, 64, 64, ...] to [n, 8, 8, ...]."""
    size = x.shape[1] // _GRID
    return x.reshape(len(x), _GRID, size, _GRID, size, *x.shape[3:]).mean(axis=(2, 4))


def _fit(features: Any, labels: np.ndarray, **settings: Any) -> list[Any]:
    """Returns a classifier for each genre, or its logit where there are no two classes to tell."""
    from sklearn.linear_model import LogisticRegression

    def fit_one(target: np.ndarray) -> Any:
        positives = int(target.sum())
        if positives in (0, len(target)):
            return _LARGEST_LOGIT if positives else -_LARGEST_LOGIT
        return LogisticRegression(**settings).fit(features, target)

    # liblinear is one thread and lets others run; lbfgs multiplies matrices, with all cores.
    at_once = min(_AT_ONCE, environment.num_cores() or 1) if settings["solver"] != "lbfgs" else 1
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(fit_one, labels.T))


def _logits(classifiers: list[Any], features: Any) -> np.ndarray:
    logits = np.zeros((features.shape[0], len(classifiers)))
    for genre, classifier in enumerate(classifiers):
        constant = isinstance(classifier, float)
        logits[:, genre] = classifier if constant else classifier.decision_function(features)
    return logits
