"""The decision rule from logits to genres: a temperature and a threshold for each genre.

A run directory may hold `thresholds.json`, fitted on the validation split
(`mmgenre.evaluation.calibration`).
Whatever turns logits into answers (evaluation, prediction, report, export) takes a `DecisionRule`
from here, so that all give the same answer; without the file, temperatures are 1 and thresholds
0.5. NumPy only.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.machine.json_files import parse_json, read_json
from mmgenre.runs import format_version

FILE_NAME: Final = "thresholds.json"
FORMAT_VERSION: Final = 1
"""Raised whenever an older reader would misread a newer file."""

DEFAULT_THRESHOLD: Final = 0.5


@dataclasses.dataclass(frozen=True)
class DecisionRule:
    """When a genre is predicted.

    Attributes:
      thresholds: for each genre: predicted when its probability is at least this; in [0, 1].
      temperatures: for each genre: its logit is divided by this; above 0.
      global_threshold: the best single threshold for all genres, for comparison; in [0, 1].
      chosen_on: what they were fitted on, for readers of a report; empty where nothing was fitted.
      names: of the genres, in the order of the logits.
    """

    thresholds: tuple[float, ...] = (DEFAULT_THRESHOLD,) * schema.NUM_GENRES
    temperatures: tuple[float, ...] = (1.0,) * schema.NUM_GENRES
    global_threshold: float = DEFAULT_THRESHOLD
    chosen_on: str = ""
    names: tuple[str, ...] = schema.GENRES

    def __post_init__(self) -> None:
        """Raises ValueError where a value is missing or out of range."""
        if not len(self.thresholds) == len(self.temperatures) == len(self.names):
            raise ValueError(f"there must be one value for each of {len(self.names)} genres")
        if not all(0 <= value <= 1 for value in (*self.thresholds, self.global_threshold)):
            raise ValueError("thresholds must be in [0, 1]")
        if not all(0 < value < np.inf for value in self.temperatures):
            raise ValueError("temperatures must be above 0")

    @classmethod
    def default(cls, names: Sequence[str]) -> Self:
        """Returns the rule where nothing was fitted: the plain sigmoid, at 0.5."""
        return cls((DEFAULT_THRESHOLD,) * len(names), (1.0,) * len(names), names=tuple(names))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probabilities <float32>[..., genres] of logits of that shape."""
        scaled = logits.astype(np.float64) / np.asarray(self.temperatures)
        # Through tanh, which does not overflow: sigmoid(x) = (1 + tanh(x / 2)) / 2. Not SciPy's
        # expit: importing it takes 0.3 s, which the first answer of a prediction would wait for.
        return (0.5 * (1 + np.tanh(0.5 * scaled))).astype(np.float32)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns <bool>[..., genres]: which genres are predicted."""
        return probabilities >= np.asarray(self.thresholds)

    def genres(self, probabilities: Sequence[float] | np.ndarray) -> list[str]:
        """Returns the predicted genres of one movie's probabilities, the surest first."""
        values = np.asarray(probabilities)
        predicted = np.flatnonzero(self.decide(values))
        return [self.names[g] for g in sorted(predicted, key=lambda g: -values[g])]

    def to_json(self) -> str:
        """The text of `thresholds.json`; `from_json` reads it."""
        per_genre = {
            genre: {"threshold": threshold, "temperature": temperature}
            for genre, threshold, temperature in zip(
                self.names, self.thresholds, self.temperatures, strict=True
            )
        }
        fields = {
            format_version.KEY: FORMAT_VERSION,
            "chosen_on": self.chosen_on,
            "global_threshold": self.global_threshold,
            "genres": per_genre,
        }
        return json.dumps(fields, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, names: Sequence[str] = schema.GENRES) -> Self:
        """Raises ValueError where `text` is not what `to_json` writes for these genres."""
        return cls.from_fields(parse_json(text), names)

    @classmethod
    def from_fields(cls, fields: Any, names: Sequence[str] = schema.GENRES) -> Self:
        """Raises ValueError where `fields` are not the JSON value of `to_json` for these genres."""
        try:
            per_genre = [fields["genres"][genre] for genre in names]
            return cls(
                thresholds=tuple(float(values["threshold"]) for values in per_genre),
                temperatures=tuple(float(values["temperature"]) for values in per_genre),
                global_threshold=float(fields["global_threshold"]),
                chosen_on=str(fields["chosen_on"]),
                names=tuple(names),
            )
        except (LookupError, TypeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def save(self, folder: epath.PathLike) -> None:
        """Writes `thresholds.json` into a folder, whole or not at all."""
        files.write_text(epath.Path(folder) / FILE_NAME, self.to_json())

    @classmethod
    def load(cls, folder: epath.PathLike, names: Sequence[str]) -> Self:
        """Reads a folder's rule for its genres; the default one where it has none.

        Raises:
          UserError: the file is damaged, or a newer version of the program wrote it.
        """
        path = epath.Path(folder) / FILE_NAME
        if not path.exists():
            return cls.default(names)
        try:
            fields = read_json(path)
            format_version.require_known(path, fields, FORMAT_VERSION)
            return cls.from_fields(fields, names)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is damaged ({error}); restore it, or delete it to use threshold "
                f"{DEFAULT_THRESHOLD} for all genres"
            ) from error
