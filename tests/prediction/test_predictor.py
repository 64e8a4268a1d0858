"""Prediction: it equals evaluation, answers for half a movie, and needs no TensorFlow."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.evaluation import result_files
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.prediction.movie import load_poster
from mmgenre.prediction.predictor import GenrePredictor
from tests.commands import ROOT, environment


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return GenrePredictor.load(tiny_run.path)


@pytest.fixture(scope="module")
def test_movies(demo_corpus, tiny_run):
    """The test split's record, and the poster file and overview of each of its movies, as raw."""
    record = SplitRecord.load(result_files.of_own_data(tiny_run, schema.TEST).predictions)
    with (demo_corpus / "movies_metadata.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    posters, overviews = [], []
    for number, movie in enumerate(record.ids):
        row = rows[str(movie)]
        poster = demo_corpus / "posters" / row["poster_path"].lstrip("/")
        posters.append(poster if record.has_poster[number] else None)
        overviews.append(row["overview"] if record.num_tokens[number] else None)
    return record, posters, overviews


def test_predictions_equal_evaluation(predictor, test_movies):
    record, posters, overviews = test_movies
    assert any(poster is None for poster in posters)
    predictions = predictor.predict(posters=posters, overviews=overviews)
    found = np.array([list(p.probabilities.values()) for p in predictions])
    answers = predictor.rules.answers(record.logits, record.has_poster, record.num_tokens > 0)
    np.testing.assert_allclose(found, answers.probabilities, atol=1e-5)
    predicted = [set(np.asarray(predictor.genres)[row]) for row in answers.predicted]
    assert [set(p.genres) for p in predictions] == predicted


def test_a_withheld_half_equals_the_recorded_one(predictor, test_movies):
    record, posters, overviews = test_movies
    both = [n for n, p in enumerate(posters) if p and overviews[n]][:5]
    alone = predictor.predict(posters=[posters[n] for n in both])
    found = np.array([list(p.probabilities.values()) for p in alone])
    np.testing.assert_allclose(
        found, predictor.rules.poster_alone.probabilities(record.poster_logits[both]), atol=1e-5
    )
    assert all(p.missing == "overview" for p in alone)
    alone = predictor.predict(overviews=[overviews[n] for n in both])
    found = np.array([list(p.probabilities.values()) for p in alone])
    np.testing.assert_allclose(
        found, predictor.rules.overview_alone.probabilities(record.overview_logits[both]), atol=1e-5
    )
    assert all(p.missing == "poster" for p in alone)


def test_the_company_of_other_movies_changes_nothing(predictor, test_movies):
    _, posters, overviews = test_movies
    together = predictor.predict(posters=posters[:9], overviews=overviews[:9])
    for poster, overview, expected in zip(posters, overviews, together, strict=False):
        (single,) = predictor.predict(posters=[poster], overviews=[overview])
        np.testing.assert_allclose(
            list(single.probabilities.values()), list(expected.probabilities.values()), atol=1e-5
        )


def test_every_form_of_a_poster_says_the_same(predictor, demo_corpus, tmp_path):
    """A path, bytes, an image of Pillow (opened, made or of another mode) and decoded pixels."""
    jpeg = sorted((demo_corpus / "posters").iterdir())[0]
    with Image.open(jpeg) as image:
        picture = image.convert("RGB")
    picture.save(tmp_path / "p.png")
    path = tmp_path / "p.png"
    with Image.open(path) as opened:
        forms = [
            *(str(path), path, path.read_bytes(), bytearray(path.read_bytes())),
            *(opened, picture, picture.convert("RGBA"), load_poster(path)),
        ]
        first, *others = predictor.predict(posters=forms)
    for other in others:
        assert other.probabilities == pytest.approx(first.probabilities, abs=1e-6)
    with Image.open(jpeg) as opened:  # A JPEG's file is decoded at a smaller size.
        from_file, from_image = predictor.predict(posters=[str(jpeg), opened])
    assert from_image.probabilities == pytest.approx(from_file.probabilities, abs=0.02)


TEXTS = {
    "japanese": "子供が地図を見つける。",
    "russian": "Мальчик находит карту",
    "emoji": "a ghost 👻🎃 " * 30,
    "dirt": "a\ud800\x00b",
    "one long word": "a" * 99_999,
}


@pytest.mark.parametrize("overview", TEXTS.values(), ids=TEXTS)
def test_any_text_is_read(overview, predictor):
    (prediction,) = predictor.predict(overviews=[overview])
    assert np.isfinite([*prediction.probabilities.values()]).all()


def test_an_overview_that_says_nothing_is_none(predictor, demo_corpus):
    """As in preparation, which never showed the model "No overview found."."""
    poster = sorted((demo_corpus / "posters").iterdir())[0]
    alone, *others = predictor.predict(
        posters=[poster] * 3, overviews=[None, "No overview found.", "[{'id': 1}]"]
    )
    for other in others:
        assert other == alone and other.missing == "overview"


def test_mistakes(predictor):
    for arguments, message in (
        ({"posters": [None], "overviews": [" \n"]}, "neither a poster nor an overview; give"),
        ({"overviews": ["No overview found."]}, r"nor an overview \(its overview says nothing\)"),
        ({"overviews": ["a boy", "👻🎃"]}, r"movie 1 has neither"),
        ({"overviews": ["word " * 2_000_000]}, "too long: 10,000,000 characters"),
        ({"posters": ["a", "b"], "overviews": ["c"]}, "2 posters but 1 overviews"),
        ({"overviews": "one text"}, "a list"),
        ({"posters": [b"x"]}, "^the poster cannot be used: not an image"),
        ({"posters": [None, b"x"], "overviews": ["a boy", ""]}, "^poster 1 cannot be used: not an"),
        ({"posters": [Image.new("RGB", (0, 9))]}, "^the poster cannot be used: 0 x 9 pixels"),
        ({"posters": [3]}, "^the poster is of type int; give a path"),
        ({"posters": [np.zeros((64, 64, 3))]}, "is float64"),
        ({"posters": [np.zeros((3, 3, 3), np.uint8)]}, "decoded pixels are uint8"),
        ({"posters": ["ftp://example.org/p.jpg"]}, "only http and https"),
        ({"posters": ["file:///etc/hostname"]}, "only http and https"),
    ):
        with pytest.raises(UserError, match=message):
            predictor.predict(**arguments)


def test_prediction_imports_no_tensorflow(tiny_run):
    code = (
        "import sys; from mmgenre.prediction.predictor import GenrePredictor; "
        f"GenrePredictor.load({str(tiny_run.path)!r}).predict(overviews=['a boy']); "
        "heavy = {'tensorflow', 'sklearn', 'clu', 'matplotlib', 'tensorflow_datasets'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stdout.strip() == "[]", process.stderr
