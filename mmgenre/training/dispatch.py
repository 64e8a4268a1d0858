"""Dispatches: steps that are started together, where they end, and those that are under way.

How many steps are in one dispatch never shows in what a run computes, writes or saves.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import jax
import numpy as np

from mmgenre.config import Config
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.distributed import device_mapping
from mmgenre.machine import signals
from mmgenre.training.save_times import SAVE_DUE, SaveTimes
from mmgenre.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """Steps that are started together, and what they need from the host.

    Attributes:
      num_steps: how many they are.
      inputs: of the feed that made this.
    """

    num_steps: int
    inputs: Any


class Feed(Protocol):
    """A source of dispatches that can start them."""

    def dispatches(self, plan: BatchPlan, start: int, ends: Iterable[int]) -> Iterator[Dispatch]:
        """Yields the batches of a plan from number `start` on, up to each of `ends` in turn."""
        ...

    def has_run(self, dispatch: Dispatch) -> bool:
        """Whether one of these shapes has run, so that nothing has to be compiled for it."""
        ...

    def run(
        self, state: TrainState, dispatch: Dispatch, vote: int = 0
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Starts the steps of a dispatch; returns the state after them and their sums."""
        ...


def dispatch_ends(config: Config, first_step: int, start: int, end: int) -> Iterator[int]:
    """Yields the numbers of batches that dispatches end before, from `start` to `end`.

    They end where a row or a checkpoint is due, so that neither waits for later steps.

    Args:
      config: of the experiment.
      first_step: the step before batch 0.
      start: the first batch of an epoch to train on.
      end: one past the last.
    """
    due = [n for n in (config.log_every_steps, config.checkpoint_every_steps) if n]
    while start < end:
        step = first_step + start
        steps = min(config.steps_per_dispatch, *(n - step % n for n in due))
        start = min(end, start + steps)
        yield start


class StepsUnderWay:
    """Steps that devices were given. The host looks at them one dispatch late, to stall nobody.

    Attributes:
      state: what comes out of the last step that was started.
      step: the number of that step.
      signum: a signal that some process had got before a step that is finished; 0 for none. The
        same on all processes, since they have finished the same steps.
      is_save_due: whether a checkpoint was due before such a step; the same on all processes.
    """

    def __init__(
        self,
        feed: Feed,
        state: TrainState,
        done: Callable[[int, dict[str, np.ndarray]], None],
        save_times: SaveTimes,
    ):
        """Starts from `state`.

        Args:
          feed: starts the steps.
          state: it is donated to the first step.
          done: is told of each finished step its number and its sums, in order.
          save_times: says when a checkpoint is due.
        """
        self.state, self.step, self.signum = state, int(state.step), 0
        self.is_save_due = False
        self._feed, self._done, self._save_times = feed, done, save_times
        self._pending: collections.deque[tuple[int, int, dict[str, jax.Array]]] = (
            collections.deque()
        )

    def start(self, dispatch: Dispatch) -> float:
        """Starts the steps of a dispatch, then finishes those of the one before.

        Returns:
          The seconds of compiling: 0 where steps of these shapes have run.
        """
        is_new = not self._feed.has_run(dispatch)
        if is_new:
            self.finish()  # Compiling takes seconds; rows that are due do not wait for it.
        vote = signals.requested() + self._save_times.vote()
        before = time.perf_counter()
        self.state, sums = self._feed.run(self.state, dispatch, vote)
        compiling = time.perf_counter() - before if is_new else 0.0  # Devices run behind it.
        self._pending.append((self.step, dispatch.num_steps, sums))
        self.step += dispatch.num_steps
        self.finish(but=1)
        return compiling

    def finish(self, *, but: int = 0) -> None:
        """Waits for all steps `but` those of so many last dispatches."""
        while len(self._pending) > but:
            before, num_steps, sums = self._pending.popleft()
            values = {name: np.atleast_1d(value) for name, value in jax.device_get(sums).items()}
            is_save_due, signum = divmod(int(values.pop(device_mapping.VOTE)[0]), SAVE_DUE)
            self.signum = signum or self.signum
            self.is_save_due |= bool(is_save_due)
            for i in range(num_steps):
                self._done(before + 1 + i, {name: value[i] for name, value in values.items()})
