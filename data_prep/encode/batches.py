"""Texts and pictures in the batches that an encoder takes; the next ones are loaded meanwhile."""

import collections
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final

from mmgenre.encoders.encoder import BATCH

_AHEAD: Final = 2  # Batches that are loaded while the encoder works.


def batches(
    items: Sequence[tuple[bytes, Any]], load: Callable[[Any], Any], threads: Executor
) -> Iterator[tuple[list[bytes], list[Any]]]:
    """Yields (keys, inputs) of `BATCH` items each.

    Args:
      items: keys, and what `load` takes.
      load: makes an input; `str` for texts, of which those of similar length go together.
      threads: that load.
    """
    if load is str:  # What pads a batch is computed, too.
        items = sorted(items, key=lambda item: len(item[1]))
    ahead: collections.deque[tuple[list[bytes], list[Future[Any]]]] = collections.deque()
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        ahead.append(([key for key, _ in some], [threads.submit(load, what) for _, what in some]))
        if len(ahead) > _AHEAD:
            keys, loading = ahead.popleft()
            yield keys, [future.result() for future in loading]
    for keys, loading in ahead:
        yield keys, [future.result() for future in loading]
