"""Results of an evaluation: typed, and their form as JSON.

A metric that is not defined, such as the ROC AUC of a genre that no movie has, is None here, null
in the file, and "-" wherever people read it. No TensorFlow, no JAX.
"""

import dataclasses
import enum
import json
import math
from typing import Any, Final, Self

import msgspec
from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine.json_files import read_json
from mmgenre.runs import format_version

FORMAT_VERSION: Final = 4
"""Of `evaluation-*.json`. Version 1, which does not say so, has NaN where a metric is undefined; up
to version 2 operating points have other names, and micro F1 is compared at that for macro F1; up to
version 3 the F1 of a genre that no movie has is 0, and part of macro F1."""

FOR_MICRO_F1: Final = "for micro F1"
FOR_MACRO_F1: Final = "for macro F1"
_OLD_POINTS: Final = {"global": FOR_MICRO_F1, "per genre": FOR_MACRO_F1}
"""Operating points, by their names up to version 2."""

Interval = tuple[float, float]
"""The ends of a 95% confidence interval."""


class NotFitted(enum.StrEnum):
    """Why a baseline could not be fitted."""

    NO_TRAIN_SPLIT = "not_fitted_no_train_split"
    DATA_GONE = "not_fitted_data_gone"
    DATA_CHANGED = "not_fitted_data_changed"
    NO_SHARED_WORD = "not_fitted_no_shared_word"
    NO_POSTER = "not_fitted_no_poster"
    NO_OVERVIEW = "not_fitted_no_overview"

    @property
    def sentence(self) -> str:
        """The reason, for readers."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    NotFitted.NO_TRAIN_SPLIT: "the data set has no train split",
    NotFitted.DATA_GONE: "the data set that the run was trained on is not there",
    NotFitted.DATA_CHANGED: "the data set that the run was trained on holds other movies now",
    NotFitted.NO_SHARED_WORD: "no word is in two overviews of the train split",
    NotFitted.NO_POSTER: "no movie of the train split has a poster",
    NotFitted.NO_OVERVIEW: "no movie of the train split has an overview",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Averages:
    """A metric over all genres.

    Attributes:
      micro: of all decisions pooled.
      macro: mean over the genres.
      weighted: mean over the genres, weighted by their movies.
    """

    micro: float | None
    macro: float | None
    weighted: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllAverages(Averages):
    """A metric over all genres, and `samples`: the mean over the movies."""

    samples: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecisionScores:
    """Metrics that depend on the thresholds alone.

    Attributes:
      accuracy: share of right decisions, over movies and genres.
      exact_match: share of movies with all genres right.
      precision: of what is predicted, the share that is right.
      recall: of the movies' genres, the share that is predicted.
      f1: the harmonic mean of the two.
    """

    accuracy: float
    exact_match: float
    precision: AllAverages
    recall: AllAverages
    f1: AllAverages


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatingPoint(DecisionScores):
    """Decisions at a choice of `thresholds`: one for all genres, or one for each.

    Where movies that lack a half are decided on by others, these are those of most movies.
    `f1_by_genre` has None for a genre without movies; it is empty where an older program evaluated.
    """

    thresholds: float | tuple[float, ...]
    f1_by_genre: tuple[float | None, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenreScores:
    """Metrics of one genre.

    Attributes:
      support: movies of the genre.
      predicted: movies that it is predicted for.
      threshold: the probability from which it is.
      accuracy: share of right decisions.
      precision: None where no movie is of it; 0 where it is never predicted.
      recall: None where no movie is of it.
      f1: likewise.
      roc_auc: None where all movies are of it, or none.
      average_precision: likewise.
      confusion: movies, ((true negatives, false positives), (false negatives, true positives)).
    """

    support: int
    predicted: int
    threshold: float
    accuracy: float
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    average_precision: float | None
    confusion: tuple[tuple[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenresPerMovie:
    """The mean number of genres that a movie has, and of those predicted for it."""

    labels: float
    predictions: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores(DecisionScores):
    """All metrics of one model's probabilities for a set of movies.

    Attributes:
      num_movies: how many.
      hamming_loss: share of wrong decisions.
      roc_auc: over the genres that can be ranked; None where there is none.
      average_precision: likewise.
      genres_per_movie: of labels and predictions.
      per_genre: by the genre's name.
    """

    num_movies: int
    hamming_loss: float
    roc_auc: Averages
    average_precision: AllAverages
    genres_per_movie: GenresPerMovie
    per_genre: dict[str, GenreScores] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Scores):
    """Everything that is reported of one model's logits for a set of movies.

    The metrics of `Scores` are those of the plain sigmoid at threshold 0.5.

    Attributes:
      log_loss: of the probabilities by the decision rule.
      operating_points: at 0.5, at thresholds fitted for micro F1, at those for macro F1; see
        `mmgenre.evaluation.operating_points`. Empty where an older program evaluated.
      confidence_intervals: each F1 at its own thresholds, by "<metric> <average>"; None where the
        metric is not defined. Empty likewise.
      model_minus_this: the intervals of the model's figures minus these, on the same resamples of
        the same movies; of a baseline beside a model only. Empty likewise.
    """

    log_loss: float | None = None
    operating_points: dict[str, OperatingPoint] = dataclasses.field(default_factory=dict)
    confidence_intervals: dict[str, Interval | None] = dataclasses.field(default_factory=dict)
    model_minus_this: dict[str, Interval | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HalvesEvaluation(Evaluation):
    """A model's evaluation on movies that have a poster, whole and with either half withheld."""

    poster_alone: Evaluation | None = None
    overview_alone: Evaluation | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineEvaluation(Evaluation):
    """A baseline's evaluation; `with_poster` is on the movies that have one, None without any."""

    with_poster: Evaluation | None = None


Baselines = dict[str, BaselineEvaluation | NotFitted]
"""By the baseline's name: how good it is, or why there is none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedData:
    """The movies of an evaluation.

    Attributes:
      name: of the data set.
      path: its folder at that time.
      fingerprint: of its records.
      split: which of its splits.
    """

    name: str
    path: str
    fingerprint: str
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEvaluation(Evaluation):
    """A run's evaluation on one split, with the baselines beside it.

    Attributes:
      run: name of the run's folder.
      step: of the checkpoint.
      data: what it is evaluated on.
      threshold: that of all metrics but those under `operating_points`.
      chosen_on: the split that fitted the others; empty where none were.
      warning: what to be careful about, in a sentence.
      loss: sigmoid cross-entropy of the logits as they are.
      with_poster: on the movies that have a poster; None where there is none.
      baselines: on the same movies.
    """

    run: str
    step: int
    data: EvaluatedData
    threshold: float = 0.5
    chosen_on: str = ""
    warning: str | None = None
    loss: float | None = None
    with_poster: HalvesEvaluation | None = None
    baselines: Baselines = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """The text of `evaluation-*.json`."""
        fields = {format_version.KEY: FORMAT_VERSION, **as_fields(self)}
        return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def load(cls, path: epath.Path) -> Self:
        """Reads `evaluation-*.json`.

        Raises:
          UserError: the file is damaged, or a newer program wrote it.
        """
        try:
            fields = read_json(path)
            format_version.require_known(path, fields, FORMAT_VERSION)
            version = fields.get(format_version.KEY, 1) if isinstance(fields, dict) else None
            if version == 1:
                fields = _without_nan(fields)
            if version is not None and version < 3:
                fields = _with_new_points(fields)
            evaluation = msgspec.convert(fields, cls)
            if not evaluation.per_genre:
                raise ValueError("it has no genres")
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); evaluate the run again") from error
        return evaluation


def baselines_as_fields(baselines: Baselines) -> dict[str, Any]:
    """Returns baselines as JSON: each by name, or the reason that there is none."""
    return {
        name: result.value if isinstance(result, NotFitted) else as_fields(result)
        for name, result in baselines.items()
    }


def as_fields(result: Evaluation) -> dict[str, Any]:
    """Returns a result as JSON, without what is empty."""
    return dataclasses.asdict(
        result, dict_factory=lambda items: {k: v for k, v in items if v != {}}
    )


def _with_new_points(value: Any) -> Any:
    """Returns JSON as of version 3: operating points under their names of today."""
    if isinstance(value, list):
        return [_with_new_points(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {_OLD_POINTS.get(point, point): found for point, found in each.items()}
        if name == "operating_points" and isinstance(each, dict)
        else _with_new_points(each)
        for name, each in value.items()
    }


def _without_nan(value: Any) -> Any:
    """Returns JSON as of version 2: None where a metric, or an end of its interval, was NaN."""
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return None if any(map(_is_nan, value)) else value
    return None if _is_nan(value) else value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
