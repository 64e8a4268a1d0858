"""Work on all cores, in order, with a bounded number of pieces under way."""

import collections
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
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Generic, TypeVar

from mmgenre.errors import RunError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MAX_KILLED: Final = 3
"""How often in a row a pool is replaced before any result comes."""


def num_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def ordered_map(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    processes: int,
    *,
    careful: Callable[[_Item], _Result] | None = None,
    initializer: Callable[[], object] | None = None,
) -> Iterator[Iterator[_Result]]:
    """A context with an iterator of `function(item)` for each item, in order, by a pool.

    At most a few items per process are taken ahead of the result that is yielded, so neither items
    nor results pile up. With one process or item it runs here, without a pool. When a process is
    killed, the items under way are done again by new ones. The processes end with the context, at
    once where that ends in an error.

    Args:
      function: a module-level function; it and its items and results are pickled.
      items: consumed as the work goes on.
      processes: of the pool.
      careful: in place of `function` for items that were under way when a process was killed, and
        for all where there is no pool: it must end no process.
      initializer: a module-level function that each process of a pool calls first.

    Raises:
      RunError: processes are killed again and again.
    """
    items = iter(items)
    ahead = list(itertools.islice(items, 2))
    items = itertools.chain(ahead, items)
    if processes <= 1 or len(ahead) < 2 or not _can_spawn():
        yield map(careful or function, items)
        return
    pool = _Pool(function, careful or function, processes, initializer)
    try:
        yield pool.results(items, ahead=3 * processes)
    except BaseException:  # An interruption, an error, or a caller that wants no more.
        pool.kill()
        raise
    finally:
        pool.close()


class _Pool(Generic[_Item, _Result]):
    """A pool of processes that takes the place of one in which a process was killed.

    Attributes:
      waiting: the items that were submitted, the oldest first, each with what will be its result.
    """

    def __init__(
        self,
        function: Callable[[_Item], _Result],
        careful: Callable[[_Item], _Result],
        processes: int,
        initializer: Callable[[], object] | None,
    ):
        self.waiting: collections.deque[tuple[_Item, Future[_Result] | None]] = collections.deque()
        self._function, self._careful = function, careful
        self._processes, self._initializer = processes, initializer
        self._times_killed = 0
        _start_tracker()
        self._start()

    def submit(self, item: _Item) -> None:
        """Adds an item to those that wait."""
        self.waiting.append((item, self._submitted(self._function, item)))

    def results(self, items: Iterable[_Item], ahead: int) -> Iterator[_Result]:
        """Yields the items' results in order, with up to `ahead` more items under way."""
        for item in items:
            self.submit(item)
            if len(self.waiting) > ahead:
                yield self.result()
        while self.waiting:
            yield self.result()

    def result(self) -> _Result:
        """Waits for the oldest item's result."""
        while True:
            _, future = self.waiting[0]
            try:
                if future is None:
                    raise BrokenProcessPool
                result = future.result()
            except BrokenProcessPool as error:
                self._start_again(error)
            else:
                self.waiting.popleft()
                self._times_killed = 0
                return result

    def kill(self) -> None:
        """Ends the processes at once; SIGTERM they do not get."""
        for worker in set(multiprocessing.active_children()) - self._others:
            worker.kill()

    def close(self) -> None:
        """Waits for the processes to end."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        self._others = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            self._processes,
            multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(self._initializer,),
        )

    def _submitted(
        self, function: Callable[[_Item], _Result], item: _Item
    ) -> Future[_Result] | None:
        """None where a process was killed since the last result was waited for."""
        try:
            with _without_signals():
                return self._executor.submit(function, item)
        except BrokenProcessPool:
            return None

    def _start_again(self, error: BrokenProcessPool) -> None:
        self._times_killed += 1
        if self._times_killed > _MAX_KILLED:
            raise RunError(
                f"a process that works for this one was killed {_MAX_KILLED + 1} times in a row, "
                "maybe because memory ran out; what is done is kept: run the same command again, "
                "with --processes 1"
            ) from error
        self.kill()
        self.close()
        self._start()
        for place, (item, future) in enumerate(self.waiting):
            if future is None or future.cancelled() or future.exception() is not None:
                self.waiting[place] = item, self._submitted(self._careful, item)


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


def _start_worker(initializer: Callable[[], object] | None) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # The cores are busy: one worker each.
    _die_with_parent()
    if initializer is not None:
        initializer()


def _die_with_parent() -> None:
    """Ends this worker when the main process is killed; it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
