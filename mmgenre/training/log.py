"""The rows of training metrics, and the line that a person reads after each epoch."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from clu.metric_writers.interface import MetricWriter

from mmgenre.config import Config
from mmgenre.training import losses


class NonFiniteLoss(Exception):
    """The loss, or the norm of its gradient, is infinite or not a number.

    Attributes:
      step: the number of the step.
      loss: mean over the batch's movies and genres.
      grad_norm: of the global gradient.
    """

    def __init__(self, step: int, loss: float, grad_norm: float):
        super().__init__(f"loss {loss}, gradient norm {grad_norm} at step {step}")
        self.step, self.loss, self.grad_norm = step, loss, grad_norm


class TrainingLog:
    """Adds up the sums of training steps and writes a row at fixed steps.

    Rows end at multiples of `log_every_steps` and at the end of an epoch: at the same steps whether
    or not the run was interrupted. What is summed up between two rows is part of a checkpoint
    (`partial`), so that the rows, too, are the same.
    """

    def __init__(
        self,
        config: Config,
        writer: MetricWriter,
        learning_rate: Callable[[int], float],
        *,
        last_step: int,
        partial: Mapping[str, Any] | None = None,
    ):
        """Starts an epoch.

        Args:
          config: of the experiment.
          writer: gets the rows.
          learning_rate: of a step, by its number.
          last_step: the last of the epoch.
          partial: what `partial` returned where the run was interrupted in this epoch.
        """
        self._config = config
        self._writer = writer
        self._learning_rate = learning_rate
        self._last_step = last_step
        self._sums: dict[str, float] = {}
        self._epoch_loss, self._epoch_steps = 0.0, 0
        self._reset()
        if partial:
            self._sums = dict(partial["sums"])
            self._steps, self._grad_norm = partial["steps"], partial["grad_norm"]
            self._untimed_steps = self._steps

    def timed(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yields the batches, counting the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def add(self, step: int, sums: Mapping[str, np.ndarray]) -> None:
        """Adds the sums of the step that ended as number `step`.

        Raises:
          NonFiniteLoss: its loss or gradient is not finite; the state after it is unusable.
        """
        values = {name: float(value) for name, value in sums.items()}
        grad_norm = values.pop("grad_norm")
        if not (np.isfinite(values["loss"]) and np.isfinite(grad_norm)):
            mean_loss = losses.summarize_counts(values)["loss"]
            raise NonFiniteLoss(step, mean_loss, grad_norm)
        self._steps += 1
        self._grad_norm += grad_norm
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if step % self._config.log_every_steps == 0 or step == self._last_step:
            self._write(step)

    @property
    def mean_loss(self) -> float:
        """The mean loss of the epoch's steps, as far as rows of them were written here."""
        return self._epoch_loss / max(self._epoch_steps, 1)

    def partial(self) -> dict[str, Any] | None:
        """Returns what was added since the last row, as JSON; None if that is nothing."""
        if not self._steps:
            return None
        # A copy: it is written in the background, while the next steps are added.
        return {"sums": dict(self._sums), "steps": self._steps, "grad_norm": self._grad_norm}

    def _write(self, step: int) -> None:
        seconds = time.perf_counter() - self._start
        timed_steps = self._steps - self._untimed_steps
        scalars = losses.summarize_counts(self._sums)
        self._epoch_loss += scalars["loss"] * self._steps
        self._epoch_steps += self._steps
        scalars["grad_norm"] = self._grad_norm / self._steps
        scalars["learning_rate"] = self._learning_rate(step)
        scalars["movies_per_second"] = timed_steps * self._config.batch_size / seconds
        scalars["input_wait_share"] = self._waited / seconds
        self._writer.write_scalars(step, {f"train/{k}": v for k, v in scalars.items()})
        self._reset()

    def _reset(self) -> None:
        self._sums = {}
        self._steps, self._untimed_steps, self._grad_norm, self._waited = 0, 0, 0.0, 0.0
        self._start = time.perf_counter()


def epoch_line(
    config: Config,
    epoch: int,
    loss: float,
    scalars: Mapping[str, float],
    rate: float,
    *,
    is_best: bool,
) -> str:
    """Returns what the log says of an epoch, in some 90 characters.

    Such as "epoch 3/20  loss 0.363  val loss 0.333  mAP 0.199 (best)  F1 0.180  779 movies/s  2 s",
    where F1 is micro F1 at 0.5.

    Args:
      config: of the experiment.
      epoch: its number, from 1.
      loss: the mean of its steps.
      scalars: of validation, "validation/...", and "epoch/seconds".
      rate: movies per second, in steps.
      is_best: whether no epoch before was as good by `config.selection_metric`.
    """
    shown = {"loss": "val loss", "average_precision/macro": "mAP", "f1/micro": "F1"}
    shown.setdefault(config.selection_metric, config.selection_metric.replace("_", " "))
    parts = [f"epoch {epoch:>{len(str(config.epochs))}}/{config.epochs}", f"loss {loss:.3f}"]
    for metric, name in shown.items():
        value = scalars.get(f"validation/{metric}")
        best = " (best)" if is_best and metric == config.selection_metric else ""
        parts.append(f"{name} -" if value is None else f"{name} {value:.3f}{best}")
    seconds = scalars["epoch/seconds"]
    parts += [f"{rate:,.0f} movies/s", f"{seconds:.{1 if seconds < 1 else 0}f} s"]
    return "  ".join(parts)
