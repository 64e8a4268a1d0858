"""The feeds of training steps: batches from the host, or record numbers of resident movies."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.distributed import device_mapping
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.dispatch import Dispatch, Feed
from mmgenre.training.resident_feed import ResidentFeed

MappedTrainStep = Callable[[Any, dict[str, np.ndarray], int], tuple[Any, dict[str, Any]]]


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
        programs.learner.train_step,
        batch_size=config.batch_size,
        bucket_lengths=config.data.bucket_lengths,
        steps_per_dispatch=config.steps_per_dispatch,
    )
