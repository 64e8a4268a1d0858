"""The application without its process: what takes too long, and what fails in the server."""

import asyncio

import pytest

from mmgenre.prediction.predictor import GenrePredictor

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

MOVIE = {"movies": [{"overview": "A boy finds a map."}]}


class _FailingPredictor(GenrePredictor):
    def answer_movies(self, movies):
        raise MemoryError("secret of the server")


def ask(predictor, requests, **settings):
    """Returns the answers to so many requests at once, and the metrics after them."""
    from mmgenre.serving.app import PATHS, build_app
    from mmgenre.serving.metrics import Metrics
    from mmgenre.serving.service import Service
    from mmgenre.serving.settings import Settings

    async def ask_all(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [client.post("/v1/predict", json=MOVIE) for _ in range(requests)]
            return await asyncio.gather(*answers), (await client.get("/metrics")).text

    metrics, limits = Metrics(PATHS), Settings(**settings)
    with Service(predictor, limits, metrics, readers=1) as service:
        return asyncio.run(ask_all(build_app(service, metrics, limits)))


def test_what_takes_too_long_is_504_and_not_computed(tiny_run):
    predictor = GenrePredictor.load(tiny_run.path)
    answers, metrics = ask(predictor, 3, batch_ms=1_000, timeout_s=0.1)
    assert [answer.status_code for answer in answers] == [504] * 3
    assert answers[0].json() == {"error": "This took too long."}
    assert "mmgenre_movies_answered_total 0.0" in metrics
    assert 'path="/v1/predict",status="504"} 3.0' in metrics


def test_a_failure_of_the_server_tells_a_client_nothing(tiny_run):
    answers, metrics = ask(_FailingPredictor.load(tiny_run.path), 2, batch_ms=1)
    assert [answer.status_code for answer in answers] == [500] * 2
    assert answers[0].json() == {"error": "The server failed; its log says how."}
    assert "mmgenre_requests_open 1.0" in metrics
