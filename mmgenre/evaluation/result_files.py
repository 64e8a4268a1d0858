"""Files that an evaluation leaves in the run directory.

    evaluation-<split>.json   every metric, for the model and its baselines
    predictions-<split>.npz   every movie's labels and logits, with each half withheld too
    movies-<split>.json       the movies that the model gets most wrong and most right

These names are for the data set that the run is trained on. The results on another data set have
its name and the start of its fingerprint behind the split's, such as
`evaluation-test-held-out-3f1c9a02.json`, so that they never take the place of the run's own.
"""

import dataclasses
import re

from etils import epath

from mmgenre.dataset.prepared import DatasetInfo
from mmgenre.runs.directory import RunDirectory

_LONGEST_NAME = 60


@dataclasses.dataclass(frozen=True)
class ResultFiles:
    """Where the results on one split of one data set are: see the module."""

    evaluation: epath.Path
    predictions: epath.Path
    movies: epath.Path


def of_own_data(run: RunDirectory, split: str) -> ResultFiles:
    """Returns the files of the results on a split of the data set that the run is trained on."""
    return _named(run, split)


def of_data(run: RunDirectory, split: str, evaluated: DatasetInfo) -> ResultFiles:
    """Returns the files of the results on a split of a data set: the run's own, or another."""
    own, _ = run.load_dataset_info()
    if evaluated.fingerprint == own.fingerprint:
        return of_own_data(run, split)
    name = re.sub(r"[^\w.-]+", "-", evaluated.name).strip("-.")[:_LONGEST_NAME]
    return _named(run, "-".join(filter(None, [split, name, evaluated.fingerprint[:8]])))


def _named(run: RunDirectory, name: str) -> ResultFiles:
    return ResultFiles(
        evaluation=run.path / f"evaluation-{name}.json",
        predictions=run.path / f"predictions-{name}.npz",
        movies=run.path / f"movies-{name}.json",
    )
