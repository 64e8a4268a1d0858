"""The decision rule from logits to genres: a scale, a bias and thresholds for each genre. NumPy.

Which rule fits a movie depends on what is known of it: `mmgenre.decisions.situations`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np

from mmgenre import schema

DEFAULT_THRESHOLD: Final = 0.5


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a rule makes of the logits of some movies.

    Attributes:
      logits: <float64>[movies, genres], calibrated.
      probabilities: <float32>[movies, genres].
      predicted: <bool>[movies, genres], at the thresholds for macro F1, which answers are given by.
      predicted_for_micro: <bool>[movies, genres], at the thresholds for micro F1.
      thresholds: <float64>[movies, genres], those of `predicted`.
      micro_thresholds: <float64>[movies, genres], those of `predicted_for_micro`.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    predicted_for_micro: np.ndarray
    thresholds: np.ndarray
    micro_thresholds: np.ndarray

    def of(self, movies: np.ndarray) -> Self:
        """Returns those for some of the movies, by <bool>[movies] or their places."""
        return dataclasses.replace(
            self, **{name: values[movies] for name, values in vars(self).items()}
        )


@dataclasses.dataclass(frozen=True)
class DecisionRule:
    """When a genre is predicted.

    Attributes:
      thresholds: for each genre: predicted when its probability is at least this; in [0, 1].
        Fitted for macro F1.
      micro_thresholds: likewise, fitted for micro F1: one for all genres, unless it would predict
        one for nearly every movie.
      scales: for each genre: its logit is multiplied by this; above 0.
      biases: for each genre: this is then added.
      chosen_on: what they were fitted on, for readers of a report; empty where nothing was fitted.
      names: of the genres, in the order of the logits.
    """

    thresholds: tuple[float, ...] = (DEFAULT_THRESHOLD,) * schema.NUM_GENRES
    micro_thresholds: tuple[float, ...] = (DEFAULT_THRESHOLD,) * schema.NUM_GENRES
    scales: tuple[float, ...] = (1.0,) * schema.NUM_GENRES
    biases: tuple[float, ...] = (0.0,) * schema.NUM_GENRES
    chosen_on: str = ""
    names: tuple[str, ...] = schema.GENRES

    def __post_init__(self) -> None:
        """Raises ValueError where a value is missing or out of range."""
        values = (self.thresholds, self.micro_thresholds, self.scales, self.biases)
        if any(len(each) != len(self.names) for each in values):
            raise ValueError(f"there must be one value for each of {len(self.names)} genres")
        if not all(0 <= value <= 1 for value in (*self.thresholds, *self.micro_thresholds)):
            raise ValueError("thresholds must be in [0, 1]")
        if not all(0 < value < np.inf for value in self.scales):
            raise ValueError("scales must be above 0")
        if not np.isfinite(self.biases).all():
            raise ValueError("biases must be finite")

    @classmethod
    def default(cls, names: Sequence[str]) -> Self:
        """Returns the rule where nothing was fitted: the plain sigmoid, at 0.5."""
        halves, ones = (DEFAULT_THRESHOLD,) * len(names), (1.0,) * len(names)
        return cls(halves, halves, ones, (0.0,) * len(names), names=tuple(names))

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Returns the calibrated logits <float64>[..., genres] of logits of that shape."""
        return logits.astype(np.float64) * np.asarray(self.scales) + np.asarray(self.biases)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probabilities <float32>[..., genres] of logits of that shape."""
        # Through tanh, which does not overflow: sigmoid(x) = (1 + tanh(x / 2)) / 2. Not SciPy's
        # expit: importing it takes 0.3 s, which the first answer of a prediction would wait for.
        return (0.5 * (1 + np.tanh(0.5 * self.calibrated(logits)))).astype(np.float32)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns <bool>[..., genres]: which genres are predicted."""
        return probabilities >= np.asarray(self.thresholds)

    def answers(self, logits: np.ndarray) -> Answers:
        """Returns what it makes of logits <float>[movies, genres]."""
        probabilities = self.probabilities(logits)
        rows = [
            np.broadcast_to(np.asarray(thresholds), logits.shape)
            for thresholds in (self.thresholds, self.micro_thresholds)
        ]
        decided = [probabilities >= thresholds for thresholds in rows]
        return Answers(self.calibrated(logits), probabilities, *decided, *rows)

    def genres(self, probabilities: Sequence[float] | np.ndarray) -> list[str]:
        """Returns the predicted genres of one movie's probabilities, most probable first."""
        values = np.asarray(probabilities)
        predicted = np.flatnonzero(self.decide(values))
        return [self.names[g] for g in sorted(predicted, key=lambda g: -values[g])]

    def as_fields(self) -> dict[str, Any]:
        """Returns the rule as JSON, by genre."""
        columns = (self.thresholds, self.micro_thresholds, self.scales, self.biases)
        return {
            genre: {
                "threshold": threshold,
                "threshold_for_micro_f1": micro,
                "scale": scale,
                "bias": bias,
            }
            for genre, threshold, micro, scale, bias in zip(self.names, *columns, strict=True)
        }

    @classmethod
    def from_fields(cls, fields: Any, chosen_on: str, names: Sequence[str]) -> Self:
        """Raises ValueError, LookupError or TypeError where `as_fields` did not return `fields`."""
        per_genre = [fields[genre] for genre in names]
        thresholds, micro_thresholds, scales, biases = (
            tuple(float(values[name]) for values in per_genre)
            for name in ("threshold", "threshold_for_micro_f1", "scale", "bias")
        )
        return cls(thresholds, micro_thresholds, scales, biases, chosen_on, tuple(names))

    @classmethod
    def from_version_1(cls, fields: Any, names: Sequence[str]) -> Self:
        """As `from_fields`, from the whole of a `thresholds.json` with temperatures."""
        per_genre = [fields["genres"][genre] for genre in names]
        return cls(
            thresholds=tuple(float(values["threshold"]) for values in per_genre),
            micro_thresholds=(float(fields["global_threshold"]),) * len(names),
            scales=tuple(1 / float(values["temperature"]) for values in per_genre),
            biases=(0.0,) * len(names),
            chosen_on=str(fields["chosen_on"]),
            names=tuple(names),
        )
