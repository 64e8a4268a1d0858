"""From a request's movies to its answers: read in a few threads, answered in one."""

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mmgenre.inputs.limited_decoder import LimitedDecoder
from mmgenre.prediction.movie import DecodedPoster, Movie
from mmgenre.prediction.predictor import Prediction
from mmgenre.serving.batcher import Batcher
from mmgenre.serving.metrics import Metrics
from mmgenre.serving.model import Model
from mmgenre.serving.request_movies import Question, Reader
from mmgenre.serving.settings import MAX_BATCH, Settings


class Service:
    """A model that answers requests. A context manager: it has threads and processes."""

    def __init__(self, model: Model, settings: Settings, metrics: Metrics, readers: int):
        """Starts what answers.

        Args:
          model: compiled for all shapes already.
          settings: the limits.
          metrics: what counts batches.
          readers: requests that are read at once, and processes that decode posters.
        """
        self.model = model
        self.settings = settings

        def read_movie(
            poster: DecodedPoster | None, overview: str | None, number: int | None
        ) -> Movie:
            return model.movie(poster, overview, number=number)

        self._reader = Reader(read_movie, settings, model.encoders.side)
        self._decoders: queue.SimpleQueue[LimitedDecoder] = queue.SimpleQueue()
        self._all_decoders = [LimitedDecoder() for _ in range(readers)]
        for decoder in self._all_decoders:
            self._decoders.put(decoder)
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._batcher = Batcher(
            model.answer_movies,
            window_s=settings.batch_ms / 1000,
            max_movies=MAX_BATCH,
            answered=metrics.batch_answered,
        )
        metrics.watch_queue(lambda: self._batcher.waiting)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *unused: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._batcher.close()
        for decoder in self._all_decoders:  # Which ends whatever a thread still waits for.
            decoder.close()

    async def answer(self, questions: Callable[[], Sequence[Question]]) -> list[Prediction]:
        """Returns the answer for each movie of a request.

        Args:
          questions: returns the movies as they came; called in another thread.

        Raises:
          Mistake: the request cannot be answered; the message says why.
        """
        until = time.monotonic() + self.settings.timeout_s
        loop = asyncio.get_running_loop()
        movies = await loop.run_in_executor(self._threads, self._read, questions, until)
        return await asyncio.wrap_future(self._batcher.submit(movies))

    def _read(self, questions: Callable[[], Sequence[Question]], until: float) -> list[Movie]:
        decoder = self._decoders.get()
        try:
            return self._reader.read(questions(), decoder, until)
        finally:
            self._decoders.put(decoder)
