"""Work on all cores, in order, with a bounded number of pieces under way."""

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
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
    else:
        yield from _pooled_map(function, items, processes)


def _pooled_map(
    function: Callable[[_Item], _Result], items: Iterable[_Item], processes: int
) -> Iterator[_Result]:
    _start_tracker()
    others = set(multiprocessing.active_children())
    pool = concurrent.futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_die_with_parent
    )
    waiting: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
    try:
        for item in items:
            with _without_signals():
                waiting.append(pool.submit(function, item))
            if len(waiting) > 3 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:  # An interruption, an error, or a caller that wants no more.
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _can_spawn() -> bool:
    """Whether a new process could import the main module; not where that came from stdin."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    return path is None or os.path.exists(path)


def _start_tracker() -> None:
    """Starts the process that removes the pool's semaphores when this one is killed.

    Without its warning that it did so: that is its task, and no news to whoever killed this.
    """
    warnings = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (warnings, "ignore:resource_tracker")))
    try:
        multiprocessing.resource_tracker.ensure_running()
    finally:
        if warnings is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = warnings


@contextlib.contextmanager
def _without_signals() -> Iterator[None]:
    """A process that is started within never gets SIGINT and SIGTERM.

    Ctrl-C in a terminal reaches all of them; a worker would die of it with a traceback of its own,
    while it is for the main process to end the work.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
