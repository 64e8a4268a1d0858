"""Everything that a report says about a run, read from its folder. No TensorFlow, no checkpoint."""

import dataclasses
import functools
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.prepared import DatasetInfo
from mmgenre.decisions.decision_rule import Answers
from mmgenre.decisions.situations import SituationRules
from mmgenre.errors import UserError
from mmgenre.evaluation import result_files
from mmgenre.evaluation.notable_movies import NotableMovies
from mmgenre.evaluation.results import RunEvaluation
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.runs import sessions as training_session
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows

_MOST_DRAWN: Final = 30
"""Genres that a figure has room for; tables have all."""


def most_common(labels: np.ndarray) -> np.ndarray:
    """Returns the places <int64>[n] of at most 30 genres, in order: those that most movies have.

    Args:
      labels: [movies, genres], 0 or 1.
    """
    if labels.shape[1] <= _MOST_DRAWN:
        return np.arange(labels.shape[1])
    return np.sort(np.argsort(-labels.sum(axis=0), kind="stable")[:_MOST_DRAWN])


@dataclasses.dataclass(frozen=True)
class RunData:
    """A finished run, as a report needs it.

    Attributes:
      run: its folder.
      config: its settings.
      dataset: what it is trained on.
      rows: its metrics over training; see `metric_log`.
      sessions: when and with what it was trained; see `training_session`.
      rules: its scales, biases and thresholds.
      test: its answers on the test split.
      validation: those on the validation split; None where they were not stored.
      evaluation: `evaluation-test.json`.
      movies: the most wrong and the most right movies of the test split.
    """

    run: RunDirectory
    config: Config
    dataset: DatasetInfo
    rows: list[dict[str, float]]
    sessions: list[dict[str, Any]]
    rules: SituationRules
    test: SplitRecord
    validation: SplitRecord | None
    evaluation: RunEvaluation
    movies: NotableMovies

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.run.path.name

    @property
    def genres(self) -> tuple[str, ...]:
        """In the order of the labels."""
        return self.dataset.genres

    @property
    def drawn(self) -> np.ndarray:
        """<int64>[n], the places of the genres that figures show: all, or the most common 30."""
        return most_common(self.labels)

    @property
    def labels(self) -> np.ndarray:
        """<bool>[movies, genres] of the test split."""
        return self.test.labels.astype(bool)

    @property
    def probabilities(self) -> np.ndarray:
        """<float32>[movies, genres] of the test split."""
        return self.answers.probabilities

    @functools.cached_property
    def answers(self) -> Answers:
        """To the movies of the test split, each by the rule that fits it."""
        return self.answers_to(self.test)

    def answers_to(self, record: SplitRecord) -> Answers:
        """Returns the answers to the movies of a split, each by the rule that fits it."""
        return self.rules.answers(record.logits, record.has_poster, record.num_tokens > 0)

    @property
    def thresholds(self) -> np.ndarray:
        """<float64>[genres], in use for most movies of the test split."""
        usual: np.ndarray = np.median(self.answers.thresholds, axis=0)
        return usual

    @classmethod
    def load(cls, path: epath.PathLike) -> Self:
        """Reads a run's folder.

        Raises:
          UserError: it is no run, has no checkpoint or no evaluation yet, or a file is damaged.
        """
        run = RunDirectory.open(path)
        files = result_files.of_own_data(run, schema.TEST)
        if not files.predictions.exists() or not files.evaluation.exists():
            if not any(run.checkpoints.glob("*")):
                raise UserError(f"{path} has no checkpoint yet; let the training run reach one")
            raise UserError(
                f"{path} has not been evaluated yet; let the training run end, or evaluate it: "
                f"python -m mmgenre.evaluate --run {path} --data <prepared data set>"
            )
        test, evaluation = SplitRecord.load(files.predictions), RunEvaluation.load(files.evaluation)
        of_test = (test.step, test.fingerprint, len(test.labels))
        if of_test != (evaluation.step, evaluation.data.fingerprint, evaluation.num_movies):
            raise UserError(
                f"{files.predictions} and {files.evaluation.name} are of two evaluations; evaluate "
                f"the run again: python -m mmgenre.evaluate --run {path} --data <prepared data set>"
            )
        dataset = run.load_dataset_info()[0]
        for file, genres in (
            (files.predictions, test.labels.shape[1]),
            (files.evaluation, len(evaluation.per_genre)),
        ):
            if genres != len(dataset.genres):
                raise UserError(
                    f"{file} is of {genres} genres, the run of {len(dataset.genres)}; evaluate the "
                    "run again"
                )
        validation = result_files.of_own_data(run, schema.VALIDATION).predictions
        return cls(
            run=run,
            config=run.load_config(),
            dataset=dataset,
            rows=read_rows(run.metrics_file),
            sessions=training_session.read_sessions(run),
            rules=SituationRules.load(run.path, dataset.genres),
            test=test,
            validation=SplitRecord.load(validation) if validation.exists() else None,
            evaluation=evaluation,
            movies=NotableMovies.load(files.movies),
        )
