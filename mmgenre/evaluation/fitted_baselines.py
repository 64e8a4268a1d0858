"""The baselines that learn, fitted once per data set: their answers are kept in the user's cache.

Kept are answers, not models: arrays that are checked when they are read, by the fingerprints of the
data set that was learned from and of the movies that are answered for. A data set's own folder may
be read-only, or somebody else's. Where there is no cache, they are fitted each time.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset
from mmgenre.evaluation import linear_pile
from mmgenre.evaluation.baseline_models import (
    CannotBeFittedError,
    Movies,
    PosterModel,
    TfidfModel,
    VectorModel,
)
from mmgenre.evaluation.results import NotFitted
from mmgenre.machine import array_files, files, user_cache
from mmgenre.machine.progress import phase

TFIDF: Final = "tfidf_logistic_regression"
POSTER_FEATURES: Final = "poster_features_logistic_regression"
TFIDF_AND_POSTER: Final = "tfidf_and_poster_features"
LINEAR_PILE: Final = "linear_pile"
OVERVIEW_VECTORS: Final = "overview_vectors_logistic_regression"
POSTER_VECTORS: Final = "poster_vectors_logistic_regression"
BOTH_VECTORS: Final = "both_vectors"
_ALWAYS: Final = (TFIDF, POSTER_FEATURES, TFIDF_AND_POSTER, LINEAR_PILE)
_OF_VECTORS: Final = {
    schema.OVERVIEW_VECTOR: OVERVIEW_VECTORS,
    schema.POSTER_VECTOR: POSTER_VECTORS,
}

_FEATURES: Final = (schema.OVERVIEW, schema.POSTER, schema.HAS_POSTER, schema.LABELS)
"""What a baseline needs to know of any movie."""

_VERSION: Final = 1
"""Raised whenever a baseline learns or answers otherwise than it did."""

_MAX_BYTES: Final = 1 << 28
_LABELS: Final = f"{schema.VALIDATION}_labels"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FittedAnswers:
    """Logits <float32>[movies, genres] by baseline; where one could not be fitted, why.

    Attributes:
      logits: for the movies that were asked about.
      validation: for the validation split of the data set that was learned from; empty without one.
      validation_labels: <uint8>[movies, genres] of that split; None without one.
      missing: those that could not be fitted.
    """

    logits: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    validation_labels: np.ndarray | None
    missing: Mapping[str, NotFitted]


def names(home: DatasetInfo, evaluated: DatasetInfo) -> tuple[str, ...]:
    """Returns the names of the baselines that learn, in the order of tables.

    Args:
      home: of the data set to learn from.
      evaluated: of the data set to answer for. Those on vectors need the same encoders in both.
    """
    of_vectors = [
        name
        for feature, name in _OF_VECTORS.items()
        if feature in home.encoders
        and feature in evaluated.encoders
        and home.encoders[feature].facts() == evaluated.encoders[feature].facts()
    ]
    both = [BOTH_VECTORS] if len(of_vectors) == len(_OF_VECTORS) else []
    return (*_ALWAYS, *of_vectors, *both)


def features(info: DatasetInfo) -> tuple[str, ...]:
    """Returns what the baselines need to know of a data set's movies, for `movies_of`."""
    return (*_FEATURES, *info.vector_sizes)


def movies_of(found: Mapping[str, np.ndarray]) -> Movies:
    """Returns movies as the baselines see them, of `features` by name, among others."""
    vectors = {name: found[name] for name in schema.VECTORS if name in found}
    return Movies(
        found[schema.OVERVIEW],
        found[schema.POSTER],
        found[schema.HAS_POSTER],
        found[schema.LABELS],
        vectors,
    )


def answer(
    home: PreparedDataset, movies: Movies, evaluated: PreparedDataset, split: str
) -> FittedAnswers:
    """Returns the baselines' answers for movies: kept ones, or of baselines that are fitted now.

    Args:
      home: the data set to learn from, with a train split.
      movies: to answer for, those of `split`.
      evaluated: the data set that they are of.
      split: which of its splits.

    Raises:
      UserError: a shard is missing or damaged.
    """
    of_both = names(home.info, evaluated.info)
    path = _kept_path(home, evaluated, split)
    counts = {"movies": len(movies.labels)}
    if schema.VALIDATION in home.info.splits:
        counts[schema.VALIDATION] = home.split(schema.VALIDATION).num_movies
    kept = _read(path, of_both, counts, movies.labels.shape[1])
    if kept is not None:
        return kept
    _log.info("fitting the baselines on %s, once for this data set", home.info.name)
    found = _fit_and_answer(home, movies, of_both)
    if not found.missing:  # Where one is missing there is little to fit.
        _write(path, found)
    return found


def read_movies(dataset: PreparedDataset, split: str) -> Movies:
    """Reads a whole split; raises UserError where a shard is missing or damaged."""
    from mmgenre.dataset.read_split import read_split  # TensorFlow.

    return movies_of(read_split(dataset, split, *features(dataset.info)))


def _fit_and_answer(home: PreparedDataset, movies: Movies, names: Sequence[str]) -> FittedAnswers:
    train = read_movies(home, schema.TRAIN)
    validation = None
    if schema.VALIDATION in home.info.splits:
        validation = read_movies(home, schema.VALIDATION)
    of_vectors = {feature: name for feature, name in _OF_VECTORS.items() if name in names}
    num_genres = train.labels.shape[1]
    total = (_FittedBaselines.MODELS + len(of_vectors)) * num_genres
    with phase("fitting baselines", total, "models") as bar:
        fitted = _FittedBaselines(train, bar.update)
        vectors = _FittedOnVectors(train, validation, of_vectors, lambda: bar.update(num_genres))
    weights = fitted.pile_weights(validation)

    def logits(of: Movies) -> dict[str, np.ndarray]:
        return fitted.logits(of, weights) | vectors.logits(of)

    return FittedAnswers(
        logits(movies),
        {} if validation is None else logits(validation),
        None if validation is None else validation.labels,
        fitted.missing | vectors.missing,
    )


class _FittedOnVectors:
    """The baselines on encoders' vectors; `missing` says why some could not be fitted.

    Args:
      train: to learn from.
      validation: to choose by; None without any.
      names: of the baselines, by feature.
      fitted: is called after each.
    """

    def __init__(
        self,
        train: Movies,
        validation: Movies | None,
        names: Mapping[str, str],
        fitted: Callable[[], object],
    ):
        self.missing: dict[str, NotFitted] = {}
        self._models: dict[str, VectorModel] = {}
        self._weights: np.ndarray | None = None
        for feature, name in names.items():
            try:
                self._models[name] = VectorModel(train, feature, validation)
            except CannotBeFittedError as error:
                self.missing |= dict.fromkeys((name, BOTH_VECTORS), error.reason)
            fitted()
        if len(names) < len(_OF_VECTORS):
            self.missing.pop(BOTH_VECTORS, None)
        elif not self.missing:
            self._weights = np.ones(len(names))
            if validation is not None:
                parts = self._parts(validation)
                self._weights = linear_pile.fit_weights(parts, validation.labels)

    def _parts(self, movies: Movies) -> list[np.ndarray]:
        """Returns <float64>[movies, genres] of each: what it adds to the genre's frequency."""
        return [model.logits(movies) - model.prior for model in self._models.values()]

    def logits(self, movies: Movies) -> dict[str, np.ndarray]:
        """Returns <float32>[movies, genres] of each baseline that could be fitted."""
        logits: dict[str, np.ndarray]
        logits = {name: model.logits(movies) for name, model in self._models.items()}
        if self._weights is not None:
            parts = np.tensordot(self._weights, np.stack(self._parts(movies)), 1)
            logits[BOTH_VECTORS] = next(iter(self._models.values())).prior + parts
        return {name: values.astype(np.float32) for name, values in logits.items()}


class _FittedBaselines:
    """The baselines that learn; `missing` says why some could not.

    `fitted` is called with a number of genres that a model has been fitted for.
    """

    MODELS: Final = 6

    def __init__(self, train: Movies, fitted: Callable[[int], object]):
        num_genres = train.labels.shape[1]
        self.missing: dict[str, NotFitted] = {}
        self._text: TfidfModel | None = None
        self._pile: linear_pile.TextPile | None = None
        self._poster: PosterModel | None = None
        self._detailed: PosterModel | None = None
        try:
            self._text = TfidfModel(train)
            fitted(num_genres)
            self._pile = linear_pile.TextPile(train, fitted)
        except CannotBeFittedError as error:
            self.missing |= dict.fromkeys((TFIDF, TFIDF_AND_POSTER, LINEAR_PILE), error.reason)
        try:
            self._poster = PosterModel(train)
            fitted(num_genres)
            self._detailed = linear_pile.detailed_poster_model(train)
        except CannotBeFittedError as error:
            self.missing[POSTER_FEATURES] = error.reason
            self.missing.setdefault(TFIDF_AND_POSTER, error.reason)
        else:
            fitted(num_genres)

    def pile_weights(self, validation: Movies | None) -> np.ndarray:
        """Returns the ensemble's weights <float64>[models]; none where it is not fitted."""
        if self._pile is None:
            return np.zeros(0)
        if validation is None:
            num_posters = self._detailed is not None
            return linear_pile.equal_weights(len(self._pile.NAMES) + num_posters)
        return linear_pile.fit_weights(self._pile_scores(validation), validation.labels)

    def _pile_scores(self, movies: Movies) -> list[np.ndarray]:
        assert self._pile is not None
        scores = self._pile.scores(movies)
        if self._detailed is not None:
            # What the poster adds to the genre's frequency: nothing where there is none.
            scores.append(self._detailed.logits(movies) - self._detailed.prior)
        return scores

    def logits(self, movies: Movies, pile_weights: np.ndarray) -> dict[str, np.ndarray]:
        """Returns <float32>[movies, genres] of each baseline that could be fitted."""
        logits = {}
        if self._text is not None:
            logits[TFIDF] = self._text.logits(movies)
        if self._poster is not None:
            logits[POSTER_FEATURES] = self._poster.logits(movies)
        if self._text is not None and self._poster is not None:
            # The sum of two log-odds counts the genre's frequency twice.
            both = logits[TFIDF] + logits[POSTER_FEATURES] - self._poster.prior
            logits[TFIDF_AND_POSTER] = both
        if self._pile is not None:
            logits[LINEAR_PILE] = np.tensordot(pile_weights, np.stack(self._pile_scores(movies)), 1)
        return {name: values.astype(np.float32) for name, values in logits.items()}


def _kept_path(home: PreparedDataset, evaluated: PreparedDataset, split: str) -> Path | None:
    """Returns the file for these answers; None where there is no cache."""
    learner = importlib.metadata.version("scikit-learn")
    key = [_VERSION, learner, home.info.fingerprint, evaluated.info.fingerprint, split]
    name = hashlib.sha256(json.dumps(key, allow_nan=False).encode()).hexdigest()[:32]
    try:
        folder = user_cache.root() / "baselines"
        user_cache.make(folder)
    except (OSError, RuntimeError):
        return None
    return folder / f"{name}.npz"


def _read(
    path: Path | None, names: Sequence[str], counts: Mapping[str, int], num_genres: int
) -> FittedAnswers | None:
    if path is None or not path.exists():
        return None
    expected: dict[str, array_files.Expected] = {
        f"{part}/{name}": (np.dtype(np.float32), (count, num_genres))
        for part, count in counts.items()
        for name in names
    }
    if schema.VALIDATION in counts:
        expected[_LABELS] = (np.dtype(np.uint8), (counts[schema.VALIDATION], num_genres))
    try:
        arrays = array_files.read_arrays(path, expected)
    except (OSError, ValueError):
        return None
    if not all(np.isfinite(values).all() for values in arrays.values()):
        return None
    by_part = {part: {name: arrays[f"{part}/{name}"] for name in names} for part in counts}
    return FittedAnswers(
        by_part["movies"], by_part.get(schema.VALIDATION, {}), arrays.get(_LABELS), {}
    )


def _write(path: Path | None, found: FittedAnswers) -> None:
    if path is None:
        return
    arrays = {f"movies/{name}": values for name, values in found.logits.items()}
    arrays |= {f"{schema.VALIDATION}/{name}": values for name, values in found.validation.items()}
    if found.validation_labels is not None:
        arrays[_LABELS] = found.validation_labels
    try:
        with files.atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(values))
        user_cache.delete_oldest(path.parent, "*.npz", _MAX_BYTES)
    except OSError as error:
        _log.warning("baselines: cannot keep their answers in %s: %s", path.parent, error)
