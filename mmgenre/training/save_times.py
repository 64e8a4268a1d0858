"""When a checkpoint is due by the clock, and how much of the time is not spent in steps."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

import jax

from mmgenre.config import Config

SAVE_DUE: Final = 256
"""Added to a signal's number in the vote of a step: the processes save at the same step."""


class SaveTimes:
    """The clock of `config.checkpoint_every_seconds`; process 0 alone asks it."""

    def __init__(self, config: Config):
        """Starts the clock."""
        self._every = config.checkpoint_every_seconds
        self._last = time.monotonic()

    @property
    def is_set(self) -> bool:
        """Whether checkpoints come by the clock."""
        return self._every > 0

    def vote(self) -> int:
        """Returns `SAVE_DUE` where this is process 0 and the time has come, else 0."""
        passed = time.monotonic() - self._last
        return SAVE_DUE if self.is_set and jax.process_index() == 0 and passed >= self._every else 0

    def saved(self) -> None:
        """Starts anew."""
        self._last = time.monotonic()


class EpochClock:
    """The time of an epoch, and of it that spent in steps: from the first one to the last one.

    Attributes:
      rate: movies per second in the steps of the last epoch, compiling aside.
    """

    def __init__(self) -> None:
        """Starts the clock."""
        self._start, self._in_steps, self._compiling = time.perf_counter(), 0.0, 0.0
        self._all, self._all_in_steps = 0.0, 0.0
        self.rate = 0.0

    @contextlib.contextmanager
    def steps(self, num_movies: int) -> Iterator[None]:
        """Counts what is within as time spent in steps, waiting for batches included."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._in_steps += time.perf_counter() - start
            self.rate = num_movies / max(self._in_steps - self._compiling, 1e-9)

    def leave_out(self, seconds: float) -> None:
        """Keeps seconds of compiling out of the rate; they stay among those spent in steps."""
        self._compiling += seconds

    def end_epoch(self) -> dict[str, float]:
        """Returns the scalars of an epoch's row; what follows belongs to the next epoch."""
        now = time.perf_counter()
        seconds, in_steps = now - self._start, self._in_steps
        self._start, self._in_steps, self._compiling = now, 0.0, 0.0
        self._all, self._all_in_steps = self._all + seconds, self._all_in_steps + in_steps
        return {"epoch/seconds": seconds, "epoch/outside_steps_share": 1 - in_steps / seconds}

    @property
    def outside_share(self) -> float:
        """The share of all epochs' time that was not spent in steps; 0 before the first one."""
        return 1 - self._all_in_steps / self._all if self._all else 0.0
