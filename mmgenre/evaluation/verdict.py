"""One sentence on how a model stands beside the best of its baselines."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Literal

from mmgenre.evaluation import tables
from mmgenre.evaluation.results import Evaluation, Interval, NotFitted

Standing = Literal["ahead of", "level with", "behind"]

_BY: Final = "f1 micro"
"""What verdicts are about, one of `tables.COMPARED`."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a model stands beside the baseline that is best in micro F1.

    Attributes:
      model: the model's name.
      baseline: the name of the best baseline.
      standing: "level with" where the 95% interval of the difference holds 0.
      difference: the model's micro F1 minus the baseline's, at thresholds fitted on validation.
      interval: of the difference, 95%, on resamples of the same movies; where an older program
        evaluated, of the model's F1 alone, minus the baseline's; None where neither is known.
      model_f1: the model's.
      baseline_f1: the baseline's.
    """

    model: str
    baseline: str
    standing: Standing
    difference: float
    interval: Interval | None
    model_f1: float
    baseline_f1: float

    def __str__(self) -> str:
        by = f" by {abs(self.difference):.3f}" if self.standing != "level with" else ""
        between = ""
        if self.interval is not None:
            between = f", difference {self.interval[0]:+.3f} to {self.interval[1]:+.3f}"
        return (
            f"{self.model} is {self.standing} {self.baseline}{by} in micro F1 "
            f"({self.model_f1:.3f} and {self.baseline_f1:.3f}{between})"
        )


def against_best_baseline(
    model: str, evaluation: Evaluation, baselines: Mapping[str, Evaluation | NotFitted]
) -> Verdict | None:
    """Compares a model with the baseline of the highest micro F1 on the same movies.

    Args:
      model: the model's name, for readers.
      evaluation: the model's.
      baselines: the baselines', by their names for readers.

    Returns:
      The verdict; None where no baseline could be fitted, or F1 is not defined.
    """
    index = tables.COMPARED.index(_BY)
    found = {name: each for name, each in baselines.items() if not isinstance(each, NotFitted)}
    values = {name: tables.compared(each)[index].value for name, each in found.items()}
    scores = {name: value for name, value in values.items() if value is not None}
    own = tables.compared(evaluation)[index]
    if not scores or own.value is None:
        return None
    best = max(scores, key=lambda name: scores[name])
    interval = found[best].model_minus_this.get(_BY)
    if interval is None and own.interval is not None:
        interval = (own.interval[0] - scores[best], own.interval[1] - scores[best])
    difference = own.value - scores[best]
    low, high = interval or (difference, difference)
    standing: Standing = "level with"
    if low > 0:
        standing = "ahead of"
    elif high < 0:
        standing = "behind"
    return Verdict(model, best, standing, difference, interval, own.value, scores[best])
