"""What a server counts, as Prometheus reads it."""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import mmgenre

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one server. What clients choose names no series: memory stays bounded."""

    def __init__(self, paths: frozenset[str]):
        """Makes the counters; `paths` are those that are counted by name."""
        self._paths = paths
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "mmgenre_requests",
            "Requests that were answered, refused ones included.",
            ("method", "path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mmgenre_request_seconds",
            "From a request's first lines to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._open = Gauge(
            "mmgenre_requests_open", "Requests that are being answered.", registry=self._registry
        )
        self._waiting = Gauge(
            "mmgenre_movies_waiting", "Movies that wait for a batch.", registry=self._registry
        )
        self._movies = Counter(
            "mmgenre_movies_answered", "Movies that the model answered.", registry=self._registry
        )
        self._batches = Histogram(
            "mmgenre_batch_movies",
            "Movies of each batch that the model answered.",
            buckets=_BATCHES,
            registry=self._registry,
        )
        self._model = Histogram(
            "mmgenre_model_seconds",
            "Seconds that the model took for a batch.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._info = Gauge(
            "mmgenre_model_info",
            "The model that answers: always 1.",
            ("run", "step", "version"),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def name_model(self, run: str, step: int) -> None:
        """Says which model answers."""
        self._info.labels(run, str(step), mmgenre.__version__).set(1)

    def watch_queue(self, waiting: Callable[[], float]) -> None:
        """Asks for the movies that wait whenever the metrics are read."""
        self._waiting.set_function(waiting)

    def batch_answered(self, movies: int, seconds: float) -> None:
        """Counts a batch."""
        self._movies.inc(movies)
        self._batches.observe(movies)
        self._model.observe(seconds)

    def text(self) -> bytes:
        """Returns all of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def watched(self, app: ASGIApp) -> ASGIApp:
        """Returns an application that counts what `app` answers."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = 0

            async def counted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            path = scope["path"] if scope["path"] in self._paths else "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            started = time.perf_counter()
            self._open.inc()
            try:
                await app(scope, receive, counted)
            finally:
                self._open.dec()
                # Nothing was sent where the client went away, or the program failed.
                self._requests.labels(method, path, str(status or 500)).inc()
                self._seconds.labels(path).observe(time.perf_counter() - started)

        return watched
