"""Models without a network, from scikit-learn: what a network has to beat.

Each is a logistic regression for every genre, on features that need no training: TF-IDF of words
and pairs of words, coarse statistics of the poster, or the vectors of frozen encoders.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from mmgenre import schema
from mmgenre.evaluation import metrics
from mmgenre.evaluation.results import NotFitted
from mmgenre.machine import environment

_GRID: Final = 8
_HISTOGRAM_BINS: Final = 8
_POSTERS_AT_ONCE: Final = 1024  # So that their pixels as floats stay below 100 MB.
_AT_ONCE: Final = 4  # Genres that are fitted at the same time.
_LARGEST_LOGIT: Final = 15.0  # Of a genre that all or none of the train split have.
_STRENGTHS: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # C; the usual one is in the middle.


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
      vectors: <float16>[movies, size] by feature of `schema.VECTORS`, zeros where a movie has no
        such half; none of a data set that was prepared without encoders.
    """

    overviews: Sequence[str] | np.ndarray
    posters: np.ndarray
    has_poster: np.ndarray
    labels: np.ndarray
    vectors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


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
        self.prior = _log_odds(train.labels[seen])
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


class VectorModel:
    """Logistic regression on an encoder's vectors, fitted on the movies that have that half."""

    def __init__(self, train: Movies, feature: str, validation: Movies | None):
        """Fits all genres together, on standardised values.

        Args:
          train: to fit on.
          feature: of `schema.VECTORS`.
          validation: to choose the strength of the regularisation by, the one with the least log
            loss; without such a movie it is the one in the middle.

        Raises:
          CannotBeFittedError: no movie has that half.
        """
        from sklearn.preprocessing import StandardScaler

        seen = _has_vector(train, feature)
        if not seen.any():
            is_poster = feature == schema.POSTER_VECTOR
            raise CannotBeFittedError(NotFitted.NO_POSTER if is_poster else NotFitted.NO_OVERVIEW)
        self._feature = feature
        self.prior = _log_odds(train.labels[seen])
        self._scaler = StandardScaler()
        features = self._scaler.fit_transform(train.vectors[feature][seen].astype(np.float32))
        self._constant = np.ptp(train.labels[seen], axis=0) == 0
        self._weights = self._fit(features, train.labels[seen], validation)

    def _fit(
        self, features: np.ndarray, labels: np.ndarray, validation: Movies | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns weights <float64>[size, genres] and biases <float64>[genres]."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        if validation is not None and not _has_vector(validation, self._feature).any():
            validation = None
        strengths = list(_STRENGTHS)
        if validation is None:
            strengths = [_STRENGTHS[len(_STRENGTHS) // 2]]
        # Without a hidden layer, this is logistic regression of all genres in one product of
        # matrices, many times faster than one genre after the other.
        model = MLPClassifier((), solver="lbfgs", warm_start=True, random_state=0, max_iter=300)
        best, least = None, np.inf
        for strength in strengths:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # It is close enough by then.
                model.set_params(alpha=1 / strength).fit(features, labels)
            weights = (model.coefs_[0].copy(), model.intercepts_[0].copy())
            if validation is None:
                return weights
            chosen = _has_vector(validation, self._feature)
            logits = self._answer(weights, validation.vectors[self._feature][chosen])
            loss = metrics.log_loss(logits, validation.labels[chosen])
            if loss >= least:
                break  # From here on it fits the train split's noise.
            best, least = weights, loss
        assert best is not None
        return best

    def _answer(self, weights: tuple[np.ndarray, np.ndarray], vectors: np.ndarray) -> np.ndarray:
        """Returns <float64>[n, genres] of vectors <float16>[n, size]."""
        product, biases = weights
        found = self._scaler.transform(vectors.astype(np.float32)) @ product + biases
        return np.where(self._constant, self.prior, found)

    def logits(self, movies: Movies) -> np.ndarray:
        """Returns <float64>[movies, genres]: the prior where a movie has no vector."""
        logits = np.tile(self.prior, (len(movies.labels), 1))
        seen = _has_vector(movies, self._feature)
        if seen.any():
            logits[seen] = self._answer(self._weights, movies.vectors[self._feature][seen])
        return logits


def _has_vector(movies: Movies, feature: str) -> np.ndarray:
    """Returns <bool>[movies]: which have more than zeros there."""
    return np.asarray(movies.vectors[feature].any(axis=1))


def _log_odds(labels: np.ndarray) -> np.ndarray:
    """Returns <float64>[genres]: of each genre's frequency."""
    frequencies = np.clip(labels.mean(axis=0), 1e-6, 1 - 1e-6)
    odds: np.ndarray = np.log(frequencies / (1 - frequencies))
    return odds


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
