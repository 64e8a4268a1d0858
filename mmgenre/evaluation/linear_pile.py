"""The strongest ensemble of linear models that we know of: what a network must beat to be worth it.

Words and pairs without stop words, and pieces of words of two to five characters, both as TF-IDF;
on these a logistic regression, a linear SVM and one whose features are scaled by naive Bayes' log
count ratios (Wang and Manning, 2012). For posters a logistic regression on colours, saturation and
the directions of edges. Their sum, with weights that are fitted on validation. The solvers are
dual: with a hundred thousand features and ten thousand movies, seconds instead of minutes.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mmgenre.evaluation.baseline_models import (
    CannotBeFittedError,
    Movies,
    PosterModel,
    poster_features,
)
from mmgenre.evaluation.results import NotFitted

if TYPE_CHECKING:
    from scipy import sparse

_TOLERANCE: Final = 1e-2
_LARGEST_SCORE: Final = 15.0  # Of a genre that all or none of the train split have.
_POSTERS_AT_ONCE: Final = 1024
_CELLS: Final = 8
_DIRECTIONS: Final = 8


class TextPile:
    """Three linear models on words and pieces of words."""

    NAMES: Final = ("logistic regression", "linear SVM", "naive Bayes and SVM")

    def __init__(self, train: Movies, fitted: Callable[[int], object] = lambda _: None):
        """Fits them.

        Args:
          train: movies to learn from.
          fitted: called with 1 after each genre of each model.

        Raises:
          CannotBeFittedError: no word is in two overviews.
        """
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        self._vectorizers = (
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, stop_words="english"),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
        )
        try:
            parts = [vectorizer.fit_transform(train.overviews) for vectorizer in self._vectorizers]
        except ValueError as error:  # A vocabulary is empty.
            raise CannotBeFittedError(NotFitted.NO_SHARED_WORD) from error
        features = sparse.hstack(parts).tocsr()
        # By the same seed each time: the dual solvers draw the order of movies.
        common = {"tol": _TOLERANCE, "random_state": 0}
        self._logistic = _fit_genres(
            lambda target: LogisticRegression(C=5.0, solver="liblinear", dual=True, **common).fit(
                features, target
            ),
            train.labels,
            fitted,
        )
        self._svm = _fit_genres(
            lambda target: LinearSVC(C=0.1, **common).fit(features, target), train.labels, fitted
        )
        self._bayes = _fit_genres(
            lambda target: _BayesSvm(features, target, LinearSVC(C=0.05, **common)),
            train.labels,
            fitted,
        )

    def scores(self, movies: Movies) -> list[np.ndarray]:
        """Returns <float64>[movies, genres] of each of `NAMES`: above 0 where a genre is likely."""
        features = self._features(movies.overviews)
        return [
            _score_genres(fitted, features) for fitted in (self._logistic, self._svm, self._bayes)
        ]

    def _features(self, overviews: Sequence[str] | np.ndarray) -> "sparse.csr_matrix":
        from scipy import sparse

        parts = [vectorizer.transform(overviews) for vectorizer in self._vectorizers]
        return sparse.hstack(parts).tocsr()


class _BayesSvm:
    """A linear SVM on features that are scaled by how much more often they come with the genre."""

    def __init__(self, features: "sparse.csr_matrix", target: np.ndarray, svm: Any):
        of_genre = target.astype(bool)
        sums = [
            1 + np.asarray(features[rows].sum(axis=0)).ravel() for rows in (of_genre, ~of_genre)
        ]
        shares = [each / each.sum() for each in sums]
        self._ratio = np.log(shares[0]) - np.log(shares[1])
        self._svm = svm.fit(self._scale(features), target)

    def _scale(self, features: "sparse.csr_matrix") -> "sparse.csr_matrix":
        scaled = features.copy()
        scaled.data *= self._ratio[scaled.indices]
        return scaled

    def decision_function(self, features: "sparse.csr_matrix") -> np.ndarray:
        """Returns <float64>[movies], as scikit-learn's models do."""
        scores: np.ndarray = self._svm.decision_function(self._scale(features))
        return scores


def detailed_poster_model(train: Movies) -> PosterModel:
    """Returns a logistic regression on `detailed_features`.

    Raises:
      CannotBeFittedError: no movie has a poster.
    """
    return PosterModel(train, detailed_features)


def detailed_features(posters: np.ndarray) -> np.ndarray:
    """Returns <float32>[posters, 1000]: the coarse ones, saturation, directions of edges.

    To the 408 of `poster_features`: the mean saturation of each cell of an 8x8 grid (64), 16 bins
    of it over the poster, and in each cell how strong edges of 8 directions are, as shares of the
    cell's (512).

    Args:
      posters: <uint8>[posters, 64, 64, 3].
    """
    starts = range(0, max(len(posters), 1), _POSTERS_AT_ONCE)
    return np.concatenate(
        [_detailed(posters[start : start + _POSTERS_AT_ONCE]) for start in starts]
    )


def _detailed(posters: np.ndarray) -> np.ndarray:
    pixels = posters.astype(np.float32) / 255
    highest = pixels.max(axis=-1)
    saturation = (highest - pixels.min(axis=-1)) / np.maximum(highest, 1e-3)
    bins = np.minimum((saturation * 16).astype(np.int8), 15)
    histogram = np.stack([(bins == b).mean(axis=(1, 2)) for b in range(16)], axis=1)
    down, right = np.gradient(pixels.mean(axis=-1), axis=(1, 2))
    strength = np.hypot(down, right)
    turn = (np.arctan2(down, right) % np.pi) / np.pi * _DIRECTIONS
    direction = np.minimum(turn.astype(np.int8), _DIRECTIONS - 1)
    edges = np.stack([_cells(strength * (direction == d)) for d in range(_DIRECTIONS)], axis=-1)
    edges /= np.sqrt((edges**2).sum(axis=-1, keepdims=True)) + 1e-3
    parts = [poster_features(posters), _cells(saturation), histogram, edges]
    return np.concatenate(
        [part.reshape(len(posters), -1).astype(np.float32) for part in parts], axis=1
    )


def _cells(x: np.ndarray) -> np.ndarray:
    """Means over the cells of the grid: [n, 64, 64] to [n, 8, 8]."""
    size = x.shape[1] // _CELLS
    return x.reshape(len(x), _CELLS, size, _CELLS, size).mean(axis=(2, 4))


def fit_weights(scores: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Returns weights <float64>[models], none below 0, with the least log loss of their sum.

    Each genre has a bias beside them, which stays here: a decision rule has one of its own.

    Args:
      scores: <float64>[movies, genres] of each model, of movies that they are not fitted on.
      labels: <bool>[movies, genres].
    """
    from scipy.optimize import minimize

    stacked, targets = np.stack(scores), labels.astype(np.float64)
    count = len(stacked)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.tensordot(at[:count], stacked, 1) + at[count:]
        error = 0.5 * (1 + np.tanh(0.5 * logits)) - targets
        losses = np.logaddexp(0, logits) - logits * targets
        slope = np.concatenate([(stacked * error).sum(axis=(1, 2)), error.sum(axis=0)])
        # A little of a prior: for a genre that no movie has, and models that say the same.
        prior = np.concatenate([at[:count] - 0.5, at[count:]])
        return float(losses.sum() + (prior**2).sum() / 2), slope + prior

    start = np.concatenate([equal_weights(count), np.zeros(labels.shape[1])])
    bounds = [(0, None)] * count + [(None, None)] * labels.shape[1]
    found: np.ndarray = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:count]


def equal_weights(count: int) -> np.ndarray:
    """Returns weights <float64>[count] for where there is nothing to fit any on."""
    return np.full(count, 0.5)


def _fit_genres(
    fit: Callable[[np.ndarray], Any], labels: np.ndarray, fitted: Callable[[int], object]
) -> list[Any]:
    """Returns a model for each genre, or its score where there are no two classes to tell."""

    def fit_one(target: np.ndarray) -> Any:
        positives = int(target.sum())
        if positives in (0, len(target)):
            found: Any = _LARGEST_SCORE if positives else -_LARGEST_SCORE
        else:
            found = fit(target)
        fitted(1)
        return found

    # One after the other: liblinear's dual solvers share one stream of random numbers, so that
    # those of several threads would depend on each other's speed.
    return [fit_one(target) for target in labels.T]


def _score_genres(fitted: list[Any], features: "sparse.csr_matrix") -> np.ndarray:
    constant = np.ones(features.shape[0])
    return np.stack(
        [
            model * constant if isinstance(model, float) else model.decision_function(features)
            for model in fitted
        ],
        axis=1,
    )
