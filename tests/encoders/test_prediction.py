"""Commands that answer with a run whose model has frozen encoders: they run the same ones."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgenre import schema
from mmgenre.dataset.read_split import read_split
from mmgenre.encoders.load import ELSEWHERE
from mmgenre.errors import UserError
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.models.fusion import STATISTICS
from mmgenre.prediction import explanation
from mmgenre.prediction.bundle_export import export_run
from mmgenre.prediction.bundle_predictor import BundlePredictor
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.prediction.table import predict_table
from mmgenre.prediction.table_request import TableRequest
from tests.commands import ROOT, environment
from tests.encoders import tiny


@pytest.fixture(scope="module")
def predictor(encoded_run) -> GenrePredictor:
    return GenrePredictor.load(encoded_run.path)


@pytest.fixture(scope="module")
def bundle(encoded_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    export_run(str(encoded_run.path), out)
    return out


def _answers(encoded_dataset, demo_corpus):
    with (demo_corpus / "movies_metadata.csv").open("r") as file:
        rows = list(csv.DictReader(file))
    places = {row["id"]: (row["poster_path"] or "").lstrip("/") for row in rows}
    names = (schema.ID, schema.OVERVIEW, schema.HAS_POSTER)
    ids, overviews, has_poster = read_split(encoded_dataset, schema.TEST, *names).values()
    posters = [
        str(demo_corpus / "posters" / places[id_]) if there else None
        for id_, there in zip(ids, has_poster, strict=True)
    ]
    return posters, overviews.tolist()


def test_predictions_are_those_of_the_evaluation(
    predictor, encoded_run, encoded_dataset, demo_corpus
):
    posters, overviews = _answers(encoded_dataset, demo_corpus)
    record = SplitRecord.load(encoded_run.path / "predictions-test.npz")
    movies = [predictor.movie(p, o) for p, o in zip(posters, overviews, strict=True)]
    np.testing.assert_allclose(predictor.movie_logits(movies), record.logits, atol=2e-3)
    without = predictor.logits([m.poster for m in movies], [m.tokens for m in movies])
    assert not np.allclose(without, record.logits, atol=0.02)


def test_a_table_is_answered_as_single_movies(
    predictor, encoded_run, encoded_dataset, demo_corpus, tmp_path
):
    request = TableRequest(
        run=str(encoded_run.path),
        catalogue=Path(demo_corpus / "movies_metadata.csv"),
        posters=str(demo_corpus / "posters"),
    )
    predict_table(request, tmp_path / "out.jsonl")
    lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    answered = [line for line in lines if line["has_poster"] and line["has_overview"]]
    posters, overviews = _answers(encoded_dataset, demo_corpus)
    (single,) = predictor.predict(posters[:1], overviews[:1])
    ids = read_split(encoded_dataset, schema.TEST, schema.ID)[schema.ID]
    (line,) = [line for line in answered if str(line["id"]) == ids[0]]
    found = line["probabilities"]
    values = list(found.values()) if isinstance(found, dict) else found
    np.testing.assert_allclose(values, list(single.probabilities.values()), atol=1e-3)


def test_a_bundle_takes_vectors(predictor, bundle, encoded_dataset, demo_corpus, tmp_path):
    posters, overviews = _answers(encoded_dataset, demo_corpus)
    manifest = json.loads((bundle / "bundle.json").read_text())
    assert manifest["format_version"] == 2
    assert manifest["vectors"][schema.POSTER_VECTOR]["digest"] == tiny.Colours.digest
    assert "overview_vector" in (bundle / "MODEL_CARD.md").read_text()
    opened = BundlePredictor.open(bundle)
    place = next(n for n, poster in enumerate(posters) if poster)
    poster, overview = posters[place], overviews[place]
    (expected,) = predictor.predict([poster], [overview])
    (found,) = opened.answer_movies([opened.movie(poster, overview)])
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    # And without mmgenre, with vectors from elsewhere.
    movie = predictor.movie(poster, overview)
    np.save(tmp_path / "p.npy", tiny.Colours().encode([Image.fromarray(movie.large)])[0])
    np.save(tmp_path / "o.npy", tiny.Words().encode([movie.text])[0])
    example = [sys.executable, str(bundle / "example.py"), poster, overview]
    done = subprocess.run(
        [*example, str(tmp_path / "p.npy"), str(tmp_path / "o.npy")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    for genre, answer in json.loads(done.stdout).items():
        assert answer["probability"] == pytest.approx(expected.probabilities[genre], abs=1e-3)
    wrong = subprocess.run(
        [*example, str(tmp_path / "o.npy")], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1 and "is no poster_vector of 12 numbers" in wrong.stderr


def test_an_explanation_counts_the_encoders_part(predictor, encoded_dataset, demo_corpus):
    posters, overviews = _answers(encoded_dataset, demo_corpus)
    place = next(n for n, poster in enumerate(posters) if poster)
    found = explanation.explain(predictor, posters[place], overviews[place])
    for genre in found.genres:
        assert set(genre.attribution.vectors) == {*schema.VECTORS, STATISTICS}
        assert genre.attribution.complete and any(genre.attribution.vectors.values())
    page = explanation.explanation_page(predictor, found)
    assert "the frozen encoder of posters" in page
    assert "colours, textures and edges of the poster as a whole" in page


def test_pixels_are_too_few(predictor):
    with pytest.raises(UserError, match="too few for the encoder of this model"):
        predictor.predict([np.zeros(schema.POSTER_SHAPE, np.uint8)])


def test_other_weights_are_one_line(encoded_run, bundle, monkeypatch, tmp_path):
    variable = ELSEWHERE[schema.OVERVIEW_VECTOR]
    monkeypatch.setenv(variable, f"{tiny.MODULE}:other_words")
    with pytest.raises(UserError, match="needs the encoder hashed words with the weights"):
        GenrePredictor.load(encoded_run.path)
    with pytest.raises(UserError, match=f"the right ones are: {variable}=<SPEC>"):
        BundlePredictor.open(bundle)
    monkeypatch.setenv(variable, f"{tiny.MODULE}:words")
    GenrePredictor.load(encoded_run.path)


def test_a_missing_encoder_is_one_line_of_the_command(encoded_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(encoded_run.path, run)
    text = (run / "dataset.json").read_text()
    (run / "dataset.json").write_text(text.replace(f"{tiny.MODULE}:words", "gone.away:words"))
    done = subprocess.run(
        [sys.executable, "-m", "mmgenre.predict", "--run", str(run), "--overview", "A boy."],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "needs its encoder: the encoder gone.away:words needs gone, which is missing" in line
    assert "MMGENRE_TEXT_ENCODER=<SPEC>" in line
