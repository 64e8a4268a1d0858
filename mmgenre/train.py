"""Training: epochs of pmap'd steps, validation after each, checkpoints, and when to stop."""

import functools
import logging
import time
from typing import Any

import jax
import numpy as np
from clu.metric_writers.interface import MetricWriter
from tqdm import tqdm

from mmgenre import (
    metric_log,
    metrics,
    optimizer,
    parallel,
    random_streams,
    schema,
    steps,
    training_session,
)
from mmgenre.batch_plan import plan_training_epoch
from mmgenre.checkpoint import RunCheckpoints
from mmgenre.config import Config
from mmgenre.errors import UserError
from mmgenre.evaluation import evaluate_and_write, predict_split, write_record
from mmgenre.input_pipeline import MovieSource
from mmgenre.models import fusion
from mmgenre.prepared_dataset import PreparedDataset
from mmgenre.run_directory import RunDirectory
from mmgenre.train_state import TrainState

_log = logging.getLogger(__name__)


def train_and_evaluate(
    config: Config, dataset: PreparedDataset, run: RunDirectory
) -> dict[str, Any]:
    """Trains to the end, from the latest checkpoint on where there is one, and evaluates on test.

    Returns:
      The report of `evaluation.evaluate_run` on the test split.

    Raises:
      UserError: settings and data do not fit together, or files cannot be read or written.
      FloatingPointError: the loss is not finite.
    """
    with training_session.recorded(run):
        Trainer(config, dataset, run).train()
    write_record(run, dataset, schema.VALIDATION)
    return evaluate_and_write(run, dataset, schema.TEST)


class Trainer:
    """One training run: what stays the same from step to step."""

    def __init__(self, config: Config, dataset: PreparedDataset, run: RunDirectory):
        """Opens the splits and compiles nothing yet; raises UserError as `train_and_evaluate`."""
        parallel.check_batch_size(config.batch_size)
        if dataset.info.vocabulary_size > config.model.vocabulary_size:
            raise UserError(
                f"the tokenizer of {dataset.path} has {dataset.info.vocabulary_size:,} words, more "
                f"than config.model.vocabulary_size ({config.model.vocabulary_size:,}); raise it"
            )
        self.config = config
        self.run = run
        self.train_source = MovieSource(dataset, schema.TRAIN, config.data)
        self.validation_source = MovieSource(dataset, schema.VALIDATION, config.data)
        self.steps_per_epoch = len(self.train_source.num_tokens) // config.batch_size
        if self.steps_per_epoch == 0:
            raise UserError(
                f"config.batch_size is {config.batch_size}, but {dataset.path} has only "
                f"{len(self.train_source.num_tokens)} movies to train on; lower it"
            )
        model = fusion.build(config.model)
        tx = optimizer.build(config)
        self._create_state = functools.partial(TrainState.create, model, tx)
        self._init_key = random_streams.init_key(config.seed)
        self._train_step = parallel.pmap_train_step(
            functools.partial(
                steps.train_step,
                model=model,
                optimizer=tx,
                dropout_key=random_streams.stream_key(config.seed, random_streams.DROPOUT),
            )
        )
        self._eval_step = parallel.jit_eval_step(functools.partial(steps.eval_step, model=model))

    def train(self) -> None:
        """Trains until the epochs are done or validation has stopped improving."""
        with RunCheckpoints(self.run.checkpoints) as checkpoints:
            state = self._restore_or_create(checkpoints)
            writer = metric_log.create_writer(self.run, resume_step=int(state.step))
            for epoch in range(int(state.step) // self.steps_per_epoch, self.config.epochs):
                if self._has_stopped_improving(checkpoints, epoch):
                    break
                state = self._train_epoch(state, epoch, checkpoints, writer)
                score = self._validate(state, writer)
                writer.flush()  # Before the checkpoint: no checkpoint without the rows before it.
                checkpoints.save(int(state.step), state, score)
            writer.close()

    def _restore_or_create(self, checkpoints: RunCheckpoints) -> TrainState:
        step = checkpoints.latest_step()
        if step is None:
            return parallel.jit_replicated(self._create_state, self._init_key)
        _log.info("resuming from the checkpoint of step %d in %s", step, self.run.path)
        abstract = parallel.abstract_replicated(self._create_state, self._init_key)
        return checkpoints.restore(step, abstract)

    def _train_epoch(
        self, state: TrainState, epoch: int, checkpoints: RunCheckpoints, writer: MetricWriter
    ) -> TrainState:
        config = self.config
        plan = plan_training_epoch(
            self.train_source.num_tokens,
            batch_size=config.batch_size,
            bucket_lengths=config.data.bucket_lengths,
            seed=config.seed,
            epoch=epoch,
        )
        first_step = epoch * self.steps_per_epoch
        start = int(state.step) - first_step  # Not 0 where a run was interrupted in an epoch.
        rows = parallel.local_rows(config.batch_size)
        log = TrainingLog(config, writer, last_step=first_step + self.steps_per_epoch)
        bar = tqdm(
            total=self.steps_per_epoch * config.batch_size,
            initial=start * config.batch_size,
            desc=f"epoch {epoch + 1}/{config.epochs}",
            unit="movie",
            disable=None if jax.process_index() == 0 else True,  # None: only in a terminal.
            leave=False,
        )
        with bar:
            step, pending = int(state.step), None
            batches = self.train_source.batches(plan, rows=rows, start=start)
            for batch in log.timed(batches):
                state, sums = self._train_step(state, batch)
                if pending is not None:  # One step late, so that the host never stalls the device.
                    log.add(step, pending)
                    bar.update(config.batch_size)
                step, pending = step + 1, sums
                every = config.checkpoint_every_steps
                if every and step % every == 0 and step < first_step + self.steps_per_epoch:
                    log.add(step, pending)
                    pending = None
                    writer.flush()
                    checkpoints.save(step, state)
            if pending is not None:
                log.add(step, pending)
        return state

    def _validate(self, state: TrainState, writer: MetricWriter) -> float:
        """Writes the validation metrics and returns the one that chooses, higher is better."""
        start = time.perf_counter()
        predictions = predict_split(
            self._eval_step, state.params, self.validation_source, self.config
        )
        report = metrics.evaluate_probabilities(
            predictions.labels, metrics.sigmoid(predictions.logits)
        )
        report["loss"] = metrics.log_loss(predictions.logits, predictions.labels)
        scalars = {
            f"validation/{name}": value
            for name, value in {
                "loss": report["loss"],
                "accuracy": report["accuracy"],
                **{
                    f"{m}/{a}": report[m][a]
                    for m in _VALIDATION_METRICS
                    for a in ("micro", "macro")
                },
            }.items()
            if value is not None
        }
        scalars["validation/seconds"] = time.perf_counter() - start
        writer.write_scalars(int(state.step), scalars)
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


_VALIDATION_METRICS = ("precision", "recall", "f1", "roc_auc", "average_precision")


class TrainingLog:
    """Adds up the sums of training steps and writes a row at fixed steps.

    Rows end at multiples of `log_every_steps` and `checkpoint_every_steps` and at the end of an
    epoch: at the same steps whether or not the run was interrupted.
    """

    def __init__(self, config: Config, writer: MetricWriter, *, last_step: int):
        """Starts an epoch that ends with `last_step`."""
        self._config = config
        self._writer = writer
        self._last_step = last_step
        self._reset()

    def timed(self, batches: Any) -> Any:
        """Yields the batches, counting the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def add(self, step: int, sums: dict[str, jax.Array]) -> None:
        """Adds the sums of the step that ended as number `step`; waits for that step.

        Raises:
          FloatingPointError: the loss is not finite.
        """
        values = {name: float(value) for name, value in jax.device_get(sums).items()}
        if not np.isfinite(values["loss"]):
            raise FloatingPointError(
                f"the loss is {values['loss']} at step {step} (learning rate "
                f"{self._config.learning_rate}); the last checkpoint is untouched, lower the "
                "learning rate"
            )
        self._steps += 1
        self._grad_norm += values.pop("grad_norm")
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        every = self._config.checkpoint_every_steps
        if (
            step % self._config.log_every_steps == 0
            or step == self._last_step
            or (every and step % every == 0)
        ):
            self._write(step)

    def _write(self, step: int) -> None:
        seconds = time.perf_counter() - self._start
        scalars = metrics.summarize_counts(self._sums)
        scalars["grad_norm"] = self._grad_norm / self._steps
        scalars["learning_rate"] = self._config.learning_rate
        scalars["movies_per_second"] = self._steps * self._config.batch_size / seconds
        scalars["input_wait_share"] = self._waited / seconds
        self._writer.write_scalars(step, {f"train/{k}": v for k, v in scalars.items()})
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps, self._grad_norm, self._waited = 0, 0.0, 0.0
        self._start = time.perf_counter()
