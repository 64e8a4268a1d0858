"""Which labels contradict what a model says that has never seen them, the clearest first. NumPy."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Suspicions:
    """Labels, the most suspicious first; each array has one entry a label.

    Attributes:
      movies: <int>[n], which movie.
      genres: <int>[n], which genre.
      given: <bool>[n], whether the movie has the genre; else it is missing.
      scores: <float64>[n], descending: the log-odds that the label is wrong, but for a constant.
      probabilities: <float64>[n], that the movie has the genre, calibrated.
    """

    movies: np.ndarray
    genres: np.ndarray
    given: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.movies)

    def first(self, count: int) -> "Suspicions":
        """Returns the first ones."""
        return Suspicions(**{name: values[:count] for name, values in vars(self).items()})


def rank(labels: np.ndarray, logits: np.ndarray) -> Suspicions:
    """Returns all labels, ranked.

    Args:
      labels: <uint8>[movies, genres].
      logits: <float>[movies, genres], calibrated, of models that were not trained on the movie.
    """
    scores = suspicion(labels, logits)
    order = np.argsort(-scores, axis=None, kind="stable")
    movies, genres = np.unravel_index(order, labels.shape)
    probabilities = 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))
    return Suspicions(
        movies,
        genres,
        labels[movies, genres].astype(bool),
        scores[movies, genres],
        probabilities[movies, genres],
    )


def suspicion(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns <float64>[movies, genres]: the log-odds that a label is wrong, but for a constant."""
    logits = logits.astype(np.float64)
    return np.where(labels.astype(bool), -logits, logits)
