"""Requests that come together are answered together, by one thread that has the model."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from mmgenre.prediction.movie import Movie
from mmgenre.prediction.predictor import Prediction

_JOIN_S: Final = 10.0
"""Seconds that the thread has to end: a batch takes less than one."""


@dataclasses.dataclass(frozen=True)
class _Job:
    movies: Sequence[Movie]
    answer: "Future[list[Prediction]]"
    arrived: float


class Batcher:
    """Answers movies, as many at once as came within a window of time. A context manager.

    The window starts with the first movie that waits, so while a batch is being answered, the next
    one collects, and starts at once if its first movie has waited for that long already.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Movie]], list[Prediction]],
        *,
        window_s: float,
        max_movies: int,
        answered: Callable[[int, float], None] = lambda movies, seconds: None,
    ):
        """Starts the thread.

        Args:
          answer: the model; called by the thread alone.
          window_s: seconds that the first movie of a batch waits for others.
          max_movies: of a batch; a request's movies are never divided.
          answered: is told of each batch: its movies, and the seconds that the model took.
        """
        self._answer = answer
        self._window_s = window_s
        self._max_movies = max_movies
        self._answered = answered
        self._jobs: collections.deque[_Job] = collections.deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Batcher":
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Answers what waits, and ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_JOIN_S)

    @property
    def waiting(self) -> int:
        """Movies that wait for a batch."""
        return self._waiting

    def submit(self, movies: Sequence[Movie]) -> "Future[list[Prediction]]":
        """Returns the answers to come, one for each of at most `max_movies` movies.

        A future that is cancelled before its batch starts costs nothing.
        """
        future: Future[list[Prediction]] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._jobs.append(_Job(movies, future, time.monotonic()))
            self._waiting += len(movies)
            self._changed.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._changed:
                self._await_batch()
                jobs = self._take()
            if jobs is None:
                return
            if jobs:
                self._run(jobs)

    def _await_batch(self) -> None:
        """Waits until a batch is full, its window is over, or there is to be no other."""
        while not self._jobs and not self._closed:
            self._changed.wait()
        while self._jobs and self._waiting < self._max_movies and not self._closed:
            left = self._jobs[0].arrived + self._window_s - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _take(self) -> list[_Job] | None:
        """Returns the jobs of the next batch; None where there will be none."""
        if not self._jobs:
            return None
        jobs: list[_Job] = []
        count = 0
        while self._jobs and (not jobs or count + len(self._jobs[0].movies) <= self._max_movies):
            job = self._jobs.popleft()
            self._waiting -= len(job.movies)
            if job.answer.set_running_or_notify_cancel():
                jobs.append(job)
                count += len(job.movies)
        return jobs

    def _run(self, jobs: Sequence[_Job]) -> None:
        movies = [movie for job in jobs for movie in job.movies]
        started = time.monotonic()
        try:
            answers = self._answer(movies)
        except BaseException as error:  # The thread must outlive whatever it meets.
            for job in jobs:
                job.answer.set_exception(error)
            return
        self._answered(len(movies), time.monotonic() - started)
        start = 0
        for job in jobs:
            job.answer.set_result(answers[start : start + len(job.movies)])
            start += len(job.movies)
