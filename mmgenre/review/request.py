"""What the command line asks for. Imports nothing heavy."""

import dataclasses
from pathlib import Path

from mmgenre.config import Config


@dataclasses.dataclass(frozen=True)
class ReviewRequest:
    """A review.

    Attributes:
      config: how to train.
      data: folder of the prepared data set.
      out: folder of the review; each fold has a run directory in it.
      num_folds: models to train.
      splits: whose movies are reviewed, and trained on.
      all_splits: whether those that the data set has not are to be passed over.
      rows: labels in the table.
      explained: movies that the page explains.
    """

    config: Config
    data: str
    out: Path
    num_folds: int
    splits: tuple[str, ...]
    all_splits: bool
    rows: int
    explained: int
