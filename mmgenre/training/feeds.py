"""What training steps are fed with: batches from the host, or record numbers of resident movies.

A feed starts steps in dispatches; how many steps are in one never shows in what a run computes,
writes or saves.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import jax
import numpy as np

from mmgenre import schema
from mmgenre.config import Config, DataConfig
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.distributed import device_mapping
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.resident_feed import Dispatch, ResidentFeed

MappedTrainStep = Callable[[Any, dict[str, np.ndarray], int], tuple[Any, dict[str, Any]]]


class Feed(Protocol):
    """What a training loop needs."""

    def dispatches(self, plan: BatchPlan, start: int, ends: Iterable[int]) -> Iterator[Dispatch]:
        """Yields the batches of a plan from number `start` on, up to each of `ends` in turn."""
        ...

    def has_run(self, dispatch: Dispatch) -> bool:
        """Whether one of these shapes has run, so that nothing has to be compiled for it."""
        ...

    def run(self, state: Any, dispatch: Dispatch, vote: int = 0) -> tuple[Any, dict[str, Any]]:
        """Starts the steps of a dispatch; returns the state after them and their sums."""
        ...


class BatchFeed:
    """One batch a dispatch, sent by the host."""

    def __init__(self, source: MovieSource, mapped_step: MappedTrainStep, *, batch_size: int):
        """Takes the batches of `source`, and a step as of `device_mapping.pmap_train_step`."""
        self._source = source
        self._rows = device_mapping.local_rows(batch_size)
        self._step = mapped_step
        self._lengths: set[int] = set()

    def dispatches(self, plan: BatchPlan, start: int, ends: Iterable[int]) -> Iterator[Dispatch]:
        """See `Feed`; `ends` must follow each other one by one."""
        batches = self._source.batches(plan, rows=self._rows, start=start)
        for _, batch in zip(ends, batches, strict=True):
            yield Dispatch(1, batch)

    def has_run(self, dispatch: Dispatch) -> bool:
        """See `Feed`."""
        return dispatch.inputs[schema.TOKENS].shape[1] in self._lengths

    def run(self, state: Any, dispatch: Dispatch, vote: int = 0) -> tuple[Any, dict[str, Any]]:
        """See `Feed`."""
        self._lengths.add(dispatch.inputs[schema.TOKENS].shape[1])
        return self._step(state, dispatch.inputs, vote)


def open_feed(config: Config, source: MovieSource, programs: Programs) -> Feed:
    """Returns the feed that `config.data.mode` asks for; "resident" reads the whole split here.

    Raises:
      UserError: a shard cannot be read, or a device has not enough memory.
    """
    if config.data.mode != "resident":
        return BatchFeed(source, programs.mapped_train_step, batch_size=config.batch_size)
    return ResidentFeed(
        source.read_arrays(),
        source.num_tokens,
        programs.train_step,
        batch_size=config.batch_size,
        bucket_lengths=config.data.bucket_lengths,
        steps_per_dispatch=config.steps_per_dispatch,
    )


def validation_data(data: DataConfig) -> DataConfig:
    """Returns how to read a split that is predicted after each epoch: never on the devices."""
    return dataclasses.replace(data, mode="host") if data.mode == "resident" else data


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


def sums_per_step(sums: dict[str, Any], count: int) -> tuple[list[dict[str, np.ndarray]], int]:
    """Waits for a dispatch; returns the sums of each of its steps, and the vote."""
    values = {name: np.atleast_1d(value) for name, value in jax.device_get(sums).items()}
    vote = int(values.pop(device_mapping.VOTE)[0])
    return [{name: value[i] for name, value in values.items()} for i in range(count)], vote
