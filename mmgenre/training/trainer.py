"""Training: epochs of pmap'd steps, validation after each, checkpoints, and when to stop."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from clu.metric_writers.interface import MetricWriter

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset import record_reader
from mmgenre.dataset.batch_plan import epoch_plan
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.distributed import cluster, device_mapping
from mmgenre.errors import RunError
from mmgenre.evaluation.evaluate_run import choose_thresholds, evaluate_and_write
from mmgenre.evaluation.predict_split import predict_whole, validation_scalars
from mmgenre.evaluation.results import RunEvaluation
from mmgenre.machine import files, signals
from mmgenre.machine.progress import Bar, Lines, phase
from mmgenre.runs import sessions
from mmgenre.runs.checkpoints import RunCheckpoints
from mmgenre.runs.damaged_checkpoints import set_damaged_aside
from mmgenre.runs.directory import RunDirectory
from mmgenre.training import feeds, initial_values, metric_writers, start_line
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.dispatch import StepsUnderWay, dispatch_ends
from mmgenre.training.log import NonFiniteLoss, TrainingLog, epoch_line
from mmgenre.training.save_times import SAVE_DUE, EpochClock, SaveTimes
from mmgenre.training.state import TrainState

_log = logging.getLogger(__name__)


def train_and_evaluate(
    config: Config,
    dataset: PreparedDataset,
    run: RunDirectory,
    programs: Programs | None = None,
) -> RunEvaluation | None:
    """Trains to the end, from the latest checkpoint on where there is one, and evaluates on test.

    Args:
      config: the experiment.
      dataset: what to train on.
      run: the folder of the run.
      programs: of this config and data set, where they are there already.

    Returns:
      The evaluation on the test split, in process 0; None in the others.

    Raises:
      UserError: settings and data do not fit together, or files cannot be read or written.
      RunError: the loss is not finite, or a checkpoint cannot be saved.
      Interrupted: by a signal, after everything was saved.
    """
    record_reader.check_share(dataset, jax.process_index(), jax.process_count())
    with sessions.recorded(run):
        trainer = Trainer(config, dataset, run, programs)
        with signals.graceful():
            trainer.train()
    choose_thresholds(run, dataset)
    return evaluate_and_write(run, dataset, schema.TEST)


class Trainer:
    """One training run: what stays the same from step to step."""

    def __init__(
        self,
        config: Config,
        dataset: PreparedDataset,
        run: RunDirectory,
        programs: Programs | None = None,
        after_epoch: Callable[[int], None] | None = None,
    ):
        """Opens the splits; see `train_and_evaluate`.

        `after_epoch` is called with the number of each epoch, from 1, once it is trained and saved.
        """
        programs = programs or Programs(config, dataset)
        config = programs.config
        self.config, self.run = config, run
        self.train_source, self.validation_source = (
            MovieSource(dataset, split, config.data, with_vectors=config.model.use_vectors)
            for split in (schema.TRAIN, schema.VALIDATION)
        )
        # Small beside the train split, and the same batches after each epoch.
        self._validation_batches: list[dict[str, jax.Array]] | None = (
            [] if config.data.mode == "resident" else None
        )
        self.steps_per_epoch = programs.steps_per_epoch
        self._dataset, self._programs = dataset, programs
        self._after_epoch = after_epoch or (lambda _: None)
        self._feed = feeds.open_feed(config, self.train_source, programs)
        self._save_times, self._clock = SaveTimes(config), EpochClock()
        self._unsaved: float | None = None  # The score of the last epoch, where it was not saved.
        _log.info("%s", start_line.describe(config))

    def train(self) -> None:
        """Trains until the epochs are done or validation has stopped improving."""
        like = self._programs.learner.state_shapes
        cluster.on_first_process(lambda: set_damaged_aside(self.run.checkpoints, like.as_dict()))
        with RunCheckpoints(self.run.checkpoints) as checkpoints, contextlib.ExitStack() as files:
            state, partial = self._restore_or_create(checkpoints, like)
            step = int(state.step)
            writer = files.enter_context(
                contextlib.closing(metric_writers.create_writer(self.run, resume_step=step))
            )
            first_epoch = step // self.steps_per_epoch
            if first_epoch < self.config.epochs:
                _log.info("compiling during the first epoch; later runs find it in the cache")
            for epoch in range(first_epoch, self.config.epochs):
                if self._has_stopped_improving(checkpoints, epoch):
                    break
                state, loss = self._train_epoch(state, epoch, checkpoints, writer, partial)
                partial, step = None, (epoch + 1) * self.steps_per_epoch
                scalars = self._validate(state, step, writer)
                score = self._score(scalars)
                best = checkpoints.best()
                is_best = best is None or score > best[1]
                self._log_epoch(epoch, loss, scalars, is_best=is_best)
                self._end_epoch(state, step, score, checkpoints, writer, is_best=is_best)
                self._after_epoch(epoch + 1)
            self._save_last(state, step, checkpoints)
            best = checkpoints.best()
        if best is not None and self._clock.outside_share:
            _log.info(
                "trained to epoch %d, the best is epoch %d; %.0f%% of the time outside steps",
                step // self.steps_per_epoch,
                best[0] // self.steps_per_epoch,
                100 * self._clock.outside_share,
            )

    def _end_epoch(
        self,
        state: TrainState,
        step: int,
        score: float,
        checkpoints: RunCheckpoints,
        writer: MetricWriter,
        *,
        is_best: bool,
    ) -> None:
        """Saves where it is due, and ends the training where a signal asks for it."""
        writer.flush()  # Before the checkpoint: no checkpoint without the rows before it.
        vote = signals.requested() + self._save_times.vote()
        is_due, signum = divmod(cluster.largest(vote), SAVE_DUE)
        if is_due or signum or is_best or not self._save_times.is_set:
            checkpoints.save(step, state.as_dict(), score)
            self._save_times.saved()
            self._unsaved = None
        else:
            self._unsaved = score
        if signum:
            checkpoints.wait()
            raise signals.saved(signum, step)

    def _save_last(self, state: TrainState, step: int, checkpoints: RunCheckpoints) -> None:
        """Saves the end of the training, so that the same command has nothing to do."""
        if self._unsaved is not None:
            checkpoints.save(step, state.as_dict(), self._unsaved)

    def _restore_or_create(self, checkpoints: RunCheckpoints, like: Any) -> tuple[TrainState, Any]:
        """Returns the state to go on from, and what the log had summed up by then."""
        step = checkpoints.latest_step()
        if step is None:
            given = cluster.of_first_process(initial_values.from_data(self.config, self._dataset))
            return self._programs.initial_state(given), None
        place = self.run.shown(self.run.path)
        _log.info("resuming from the checkpoint of step %d in %s", step, place)
        restored = checkpoints.restore(step, like.as_dict())
        return TrainState(**restored.state), restored.extra

    def _train_epoch(
        self,
        state: TrainState,
        epoch: int,
        checkpoints: RunCheckpoints,
        writer: MetricWriter,
        partial: Any,
    ) -> tuple[TrainState, float]:
        """Trains what is left of an epoch; rows, checkpoints and signals come between its steps.

        Returns:
          The state after it, and the mean loss of the steps.
        """
        config, plan = self.config, epoch_plan(self.config, self.train_source.num_tokens, epoch)
        first_step = epoch * self.steps_per_epoch
        last_step = first_step + self.steps_per_epoch
        start = int(state.step) - first_step  # Not 0 where a run was interrupted in an epoch.
        log = TrainingLog(
            config,
            writer,
            self._programs.learner.learning_rate,
            last_step=last_step,
            partial=partial,
        )
        num_movies = (self.steps_per_epoch - start) * config.batch_size
        with self._progress_bar(epoch, start) as bar, self._clock.steps(num_movies):

            def done(step: int, sums: dict[str, np.ndarray]) -> None:
                log.add(step, sums)
                bar.update(config.batch_size)

            steps = StepsUnderWay(self._feed, state, done, self._save_times)
            ends = dispatch_ends(config, first_step, start, self.steps_per_epoch)
            try:
                for dispatch in log.timed(self._feed.dispatches(plan, start, ends)):
                    compiling = steps.start(dispatch)
                    bar.leave_out(compiling)
                    self._clock.leave_out(compiling)
                    if steps.step < last_step and self._saves_now(steps):
                        steps.finish()
                        writer.flush()
                        checkpoints.save(steps.step, steps.state.as_dict(), extra=log.partial())
                        self._save_times.saved()
                        steps.is_save_due = False
                        if steps.signum:
                            checkpoints.wait()
                            raise signals.saved(steps.signum, steps.step)
                steps.finish()
            except NonFiniteLoss as error:
                movies = plan.movies[error.step - first_step - 1]
                raise self._non_finite(error, movies) from error
        return steps.state, log.mean_loss

    def _saves_now(self, steps: StepsUnderWay) -> bool:
        every = self.config.checkpoint_every_steps
        is_at_step = bool(every) and steps.step % every == 0
        return bool(steps.signum) or steps.is_save_due or is_at_step

    def _progress_bar(self, epoch: int, start: int) -> AbstractContextManager[Lines | Bar]:
        """Returns a bar of an epoch's movies that begins at batch `start`."""
        return phase(
            f"epoch {epoch + 1}/{self.config.epochs}",
            self.steps_per_epoch * self.config.batch_size,
            "movies",
            initial=start * self.config.batch_size,
            shown=jax.process_index() == 0,
        )

    def _non_finite(self, error: NonFiniteLoss, movies: np.ndarray) -> RunError:
        """Writes down what is needed to look into it; returns the error to raise.

        Args:
          error: the step, its loss and its gradient.
          movies: <int>[batch], the record numbers of its batch.
        """
        rate = self._programs.learner.learning_rate(error.step)
        if jax.process_index() == 0:
            ids = read_split(self._dataset, schema.TRAIN, schema.ID, movies=movies)[schema.ID]
            record = {
                "step": error.step,
                "loss": str(error.loss),
                "gradient_norm": str(error.grad_norm),
                "learning_rate": rate,
                "movie_ids": ids.tolist(),
            }
            files.write_json(self.run.non_finite_file, record)
        return RunError(
            f"the loss is not finite ({error}, learning rate {rate:g}); "
            f"{self.run.shown(self.run.non_finite_file)} lists the movies of its batch, the "
            "checkpoints before it are untouched. Look at the movies, lower config.learning_rate, "
            "or set config.clip_norm, with another --workdir"
        )

    def _validate(self, state: TrainState, step: int, writer: MetricWriter) -> dict[str, float]:
        """Writes the validation metrics and returns them."""
        start = time.perf_counter()
        predictions = predict_whole(
            self._programs.views_step,
            device_mapping.globalize_pmap_output(state.params),
            self.validation_source,
            self.config,
            self._validation_batches,
        )
        # Computed once, so that all processes choose and stop alike to the last bit.
        scalars = cluster.on_first_process(lambda: validation_scalars(predictions))
        scalars["validation/seconds"] = time.perf_counter() - start
        scalars |= self._clock.end_epoch()
        writer.write_scalars(step, scalars)
        return scalars

    def _log_epoch(
        self, epoch: int, loss: float, scalars: Mapping[str, float], *, is_best: bool
    ) -> None:
        line = epoch_line(self.config, epoch + 1, loss, scalars, self._clock.rate, is_best=is_best)
        _log.info("%s", line)

    def _score(self, scalars: Mapping[str, float]) -> float:
        """Returns the validation metric that chooses the best epoch, higher is better."""
        selected = scalars.get(f"validation/{self.config.selection_metric}", -np.inf)
        return -selected if self.config.selection_metric == "loss" else selected

    def _has_stopped_improving(self, checkpoints: RunCheckpoints, epoch: int) -> bool:
        best = checkpoints.best()
        if best is None or not self.config.patience:
            return False
        best_epoch = best[0] // self.steps_per_epoch
        if epoch - best_epoch < self.config.patience:
            return False
        _log.info(
            "stopping: %s has not improved for %d epochs; best after epoch %d (step %d)",
            self.config.selection_metric,
            epoch - best_epoch,
            best_epoch,
            best[0],
        )
        return True
