"""An event loop for a call, also where one is running already: in a notebook, or in a server."""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")

Run = Callable[[Coroutine[Any, Any, _Result]], _Result]
"""Runs a coroutine to its end, as `asyncio.run` does."""


def call(work: Callable[[Run[_Result]], _Result]) -> _Result:
    """Calls `work`, in a thread of its own where this one has a running loop, and waits for it.

    Args:
      work: gets what runs its coroutine. All that it opens (SQLite's connections, say) belongs to
        the thread that it is called in.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work(asyncio.run)
    coroutine = _Cancellable[_Result]()
    with concurrent.futures.ThreadPoolExecutor(1, "own-loop") as thread:
        done = thread.submit(work, coroutine.run)
        try:
            return done.result()
        except BaseException:  # Such as an interruption of this thread.
            coroutine.cancel()
            raise


class _Cancellable(Generic[_Result]):
    """One coroutine that another thread may cancel."""

    _task: asyncio.Task[_Result] | None = None
    _is_cancelled = False

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        async def main() -> _Result:
            self._task = asyncio.create_task(coroutine)
            if self._is_cancelled:  # Before it began.
                self._task.cancel()
            return await self._task

        return asyncio.run(main())

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # Its loop is closed: it has ended.
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
