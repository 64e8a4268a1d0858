"""Work on all cores, in order, with a bounded number of pieces under way."""

import collections
import concurrent.futures
import itertools
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def num_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[_Item], _Result], items: Iterable[_Item], processes: int
) -> Iterator[_Result]:
    """Yields `function(item)` for each item, in order, computed by a pool of processes.

    At most a few items per process are taken ahead of the result that is yielded, so neither items
    nor results pile up. With one process or item it runs here, without a pool.

    Args:
      function: a module-level function; it and its items and results are pickled.
      items: consumed as the work goes on.
      processes: of the pool.
    """
    items = iter(items)
    ahead = list(itertools.islice(items, 2))
    items = itertools.chain(ahead, items)
    if processes <= 1 or len(ahead) < 2 or not _can_spawn():
        yield from map(function, items)
        return
    pool = concurrent.futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_die_with_parent
    )
    waiting: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 3 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _can_spawn() -> bool:
    """Whether a new process could import the main module; not where that came from stdin."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    return path is None or os.path.exists(path)


def _die_with_parent() -> None:
    """Ends this worker when the main process is killed; it would wait for work forever."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # The cores are busy: one worker each.
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
