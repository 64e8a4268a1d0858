"""What the web page says, read from its HTML: no browser is needed."""

import asyncio
import re

import pytest

from mmgenre.prediction.predictor import GenrePredictor

pytest.importorskip("starlette")
httpx = pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def texts(tiny_run):
    """The page when it opens, opened again, and after a click on the second example."""
    from mmgenre.prediction.web_page import build_app

    async def ask(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            opened = [await client.get("/") for _ in range(2)]
            clicked = await client.post("/", files={"example": (None, "1")})
            return [answer.text for answer in (*opened, clicked)]

    return asyncio.run(ask(build_app(GenrePredictor.load(tiny_run.path))))


def test_an_example_is_answered_when_the_page_opens(texts):
    opened, again, clicked = texts
    assert opened == again
    assert "For example" in opened and "Completeness" in opened
    # The form is empty: what is typed next is not taken for a change of the example.
    assert re.search(r"<textarea[^>]*>\s*</textarea>", opened) and 'name="kept"' not in opened
    assert "For example" not in clicked and 'name="kept"' in clicked


def test_one_genre_is_unfolded_and_examples_are_whole(texts):
    from mmgenre.prediction.web_page import example_movies

    for text in texts:
        folds = re.findall(r'<details class="card why"( open)?>', text)
        assert len(folds) >= 3 and folds == [" open"] + [""] * (len(folds) - 1)
        examples = re.search(r'<form class="examples".*?</form>', text, re.DOTALL)[0]
        for movie in example_movies():
            assert f"<span>{movie.overview}</span>".replace("'", "&#39;") in examples


def test_the_title_and_the_button_differ(texts):
    title = re.search(r"<h1>(.*?)</h1>", texts[0])[1]
    button = re.search(r'<button id="ask">(.*?)</button>', texts[0])[1]
    assert title == "Genres of a movie" and button == "Predict genres"
