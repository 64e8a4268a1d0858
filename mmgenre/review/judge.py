"""One fold: a model is trained on the others and judges the movies of this one."""

import dataclasses
import io
import logging
import os
from collections.abc import Callable
from typing import Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.dealt import DealtDataset
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.decisions import decision_rule
from mmgenre.decisions.situations import SituationRules
from mmgenre.errors import UserError
from mmgenre.evaluation.evaluate_run import choose_thresholds
from mmgenre.evaluation.predict_split import predict_views
from mmgenre.machine import array_files, files, signals
from mmgenre.runs import sessions
from mmgenre.runs.directory import RunDirectory
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.trainer import Trainer

_log = logging.getLogger(__name__)

ANSWERS_FILE = "answers.npz"
"""In the run directory of a fold, once the fold is done."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of movies that it has never seen.

    Attributes:
      logits: <float32>[movies, genres], calibrated on movies that it was not trained on either.
    """

    logits: np.ndarray

    def save(self, run: RunDirectory) -> None:
        """Writes them into the run directory of their fold, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, logits=self.logits)
        files.write_bytes(run.path / ANSWERS_FILE, buffer.getvalue())

    @classmethod
    def load(cls, run: RunDirectory, view: DealtDataset) -> Self | None:
        """Reads what `save` wrote; None where the fold is not done.

        Raises:
          UserError: the file is damaged.
        """
        path = run.path / ANSWERS_FILE
        if not path.exists():
            return None
        shape = (view.split(schema.TEST).num_movies, len(view.info.genres))
        try:
            found = array_files.read_arrays(path, {"logits": (np.dtype(np.float32), shape)})
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is damaged ({error}); delete it, and the same command judges the fold anew"
            ) from error
        return cls(**found)


def judge(
    config: Config,
    view: DealtDataset,
    folder: os.PathLike[str],
    after_epoch: Callable[[int], None],
) -> Answers:
    """Trains on a view's train split and judges its test split, or reads what that came to.

    Killed and called again, it goes on from the latest checkpoint.

    Args:
      config: how to train.
      view: the movies.
      folder: the run directory.
      after_epoch: is called with the number of each epoch, once it is trained.

    Raises:
      UserError: settings and data do not fit together, the folder holds another run, or files
        cannot be read or written.
      RunError: the loss is not finite.
      Interrupted: by a signal, after everything was saved.
    """
    run = RunDirectory.start(epath.Path(folder), config, view)
    found = Answers.load(run, view)
    if found is not None:
        return found
    programs = Programs(config, view)
    if not any(run.checkpoints.glob("*")):
        programs.compile_ahead()
    with sessions.recorded(run):
        trainer = Trainer(config, view, run, programs, after_epoch)
        with signals.graceful():
            trainer.train()
    _, calibrated = answer_test_split(run, view, view)
    answers = Answers(calibrated.logits.astype(np.float32))
    answers.save(run)
    return answers


def answer_test_split(
    run: RunDirectory, trained_on: PreparedDataset, judged: PreparedDataset
) -> tuple[np.ndarray, decision_rule.Answers]:
    """Calibrates a trained run on its validation split, and lets it answer for a test split.

    Args:
      run: it.
      trained_on: its data set.
      judged: the data set whose test split is asked.

    Returns:
      The labels <uint8>[movies, genres] of that split, and the answers.
    """
    choose_thresholds(run, trained_on)
    predictions, _ = predict_views(run, judged, schema.TEST)
    rules = SituationRules.load(run.path, judged.info.genres)
    has_poster = read_split(judged, schema.TEST, schema.HAS_POSTER)[schema.HAS_POSTER]
    has_overview = judged.index(schema.TEST).num_tokens > 0
    return predictions.labels, rules.answers(predictions.logits[:, 0], has_poster, has_overview)
