"""Which decision rule fits a movie: with both halves, with the poster or the overview alone.

A poster says less than an overview, so that its probabilities are lower, and thresholds that were
fitted with both there would let it predict next to nothing. A run directory may hold
`thresholds.json`, fitted on the validation split (`mmgenre.decisions.calibration`). Whatever turns
logits into answers (evaluation, prediction, report, export) takes its rules from here, so that all
give the same answer; without the file it is the plain sigmoid at 0.5. NumPy only.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre.decisions.decision_rule import DEFAULT_THRESHOLD, Answers, DecisionRule
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.machine.json_files import parse_json, read_json
from mmgenre.runs import format_version

FILE_NAME: Final = "thresholds.json"
FORMAT_VERSION: Final = 2
"""Raised whenever an older reader would misread a newer file. Version 1 has temperatures and one
rule for all movies, and is read as such."""


@dataclasses.dataclass(frozen=True)
class SituationRules:
    """A rule for each situation; all of the same genres.

    Attributes:
      both: for movies with a poster and an overview.
      poster_alone: for movies without an overview.
      overview_alone: for movies without a poster.
    """

    both: DecisionRule
    poster_alone: DecisionRule
    overview_alone: DecisionRule

    @classmethod
    def same(cls, rule: DecisionRule) -> Self:
        """Returns one rule for all movies."""
        return cls(rule, rule, rule)

    @classmethod
    def default(cls, names: Sequence[str]) -> Self:
        """Returns the rules where nothing was fitted: the plain sigmoid, at 0.5."""
        return cls.same(DecisionRule.default(names))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the genres, in the order of the logits."""
        return self.both.names

    @property
    def chosen_on(self) -> str:
        """What they were fitted on; empty where nothing was fitted."""
        return self.both.chosen_on

    def of(self, *, has_poster: bool, has_overview: bool) -> DecisionRule:
        """Returns the rule for a movie."""
        if has_poster:
            return self.both if has_overview else self.poster_alone
        return self.overview_alone

    def answers(
        self, logits: np.ndarray, has_poster: np.ndarray, has_overview: np.ndarray
    ) -> Answers:
        """Returns the answers for movies, each by the rule that fits it.

        Args:
          logits: <float>[movies, genres].
          has_poster: <bool>[movies].
          has_overview: <bool>[movies].
        """
        situation = np.where(has_poster, np.where(has_overview, 0, 1), 2)
        rules = (self.both, self.poster_alone, self.overview_alone)
        by_rule = [vars(rule.answers(logits)) for rule in rules]
        chosen = {
            name: np.stack([each[name] for each in by_rule])[situation, np.arange(len(logits))]
            for name in by_rule[0]
        }
        return Answers(**chosen)

    def to_json(self) -> str:
        """The text of `thresholds.json`; `from_json` reads it."""
        fields = {
            format_version.KEY: FORMAT_VERSION,
            "chosen_on": self.chosen_on,
            **{field.name: getattr(self, field.name).as_fields() for field in self._fields()},
        }
        return json.dumps(fields, indent=2, allow_nan=False) + "\n"

    @classmethod
    def _fields(cls) -> tuple[dataclasses.Field[Any], ...]:
        return dataclasses.fields(cls)

    @classmethod
    def from_json(cls, text: str, names: Sequence[str]) -> Self:
        """Raises ValueError where `text` is not what `to_json` writes for these genres."""
        return cls.from_fields(parse_json(text), names)

    @classmethod
    def from_fields(cls, fields: Any, names: Sequence[str]) -> Self:
        """Raises ValueError where `fields` are not the JSON value of `to_json` for these genres."""
        try:
            if fields.get(format_version.KEY, 1) == 1:
                return cls.same(DecisionRule.from_version_1(fields, names))
            chosen_on = str(fields["chosen_on"])
            rules = (
                DecisionRule.from_fields(fields[field.name], chosen_on, names)
                for field in cls._fields()
            )
            return cls(*rules)
        except (
            LookupError,
            TypeError,
            AttributeError,
            OverflowError,
            ZeroDivisionError,
        ) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def save(self, folder: epath.PathLike) -> None:
        """Writes `thresholds.json` into a folder, whole or not at all."""
        files.write_text(epath.Path(folder) / FILE_NAME, self.to_json())

    @classmethod
    def load(cls, folder: epath.PathLike, names: Sequence[str]) -> Self:
        """Reads a folder's rules for its genres; the default ones where it has none.

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
