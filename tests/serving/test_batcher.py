"""How requests are put together: order, sizes, failures, and those that nobody waits for."""

import threading

import numpy as np
import pytest

from mmgenre.prediction.movie import Movie
from mmgenre.serving.batcher import Batcher


def movies(*numbers):
    return [Movie(None, np.array([number], np.int32)) for number in numbers]


class Model:
    """Answers with the movies' numbers; remembers its batches; can be held."""

    def __init__(self):
        self.batches = []
        self.entered, self.free = threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, movies):
        numbers = [int(movie.tokens[0]) for movie in movies]
        self.batches.append(numbers)
        self.entered.set()
        assert self.free.wait(30)
        if 13 in numbers:
            raise ValueError("thirteen")
        return numbers


@pytest.fixture
def model():
    return Model()


def test_what_waits_is_answered_together_in_order(model):
    with Batcher(model, window_s=0.0, max_movies=4) as batcher:
        model.free.clear()
        first = batcher.submit(movies(1))
        assert model.entered.wait(30)
        later = [batcher.submit(movies(*group)) for group in ((2,), (3, 4), (5, 6), (7,))]
        assert batcher.waiting == 6
        model.free.set()
        assert first.result(30) == [1]
        assert [future.result(30) for future in later] == [[2], [3, 4], [5, 6], [7]]
    assert model.batches == [[1], [2, 3, 4], [5, 6, 7]]
    assert batcher.waiting == 0


def test_a_full_batch_does_not_wait_for_its_window(model):
    with Batcher(model, window_s=60.0, max_movies=2) as batcher:
        futures = [batcher.submit(movies(1)), batcher.submit(movies(2))]
        assert [future.result(30) for future in futures] == [[1], [2]]
    assert model.batches == [[1, 2]]


def test_closing_answers_what_waits(model):
    batcher = Batcher(model, window_s=60.0, max_movies=64)
    future = batcher.submit(movies(1))
    batcher.close()
    assert future.result(0) == [1]
    with pytest.raises(RuntimeError):
        batcher.submit(movies(2))


def test_a_failure_is_its_batch_alone(model):
    with Batcher(model, window_s=0.0, max_movies=64) as batcher:
        with pytest.raises(ValueError, match="thirteen"):
            batcher.submit(movies(13)).result(30)
        assert batcher.submit(movies(1)).result(30) == [1]


def test_what_was_given_up_is_not_computed(model):
    with Batcher(model, window_s=0.0, max_movies=64) as batcher:
        model.free.clear()
        first = batcher.submit(movies(1))
        assert model.entered.wait(30)
        given_up, kept = batcher.submit(movies(2)), batcher.submit(movies(3))
        assert given_up.cancel()
        model.free.set()
        assert (first.result(30), kept.result(30)) == ([1], [3])
    assert model.batches == [[1], [3]]
