"""Explanations: complete, and where the signal is."""

import csv

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.evaluation import split_record
from mmgenre.models import fusion
from mmgenre.prediction import attribution, explanation
from mmgenre.prediction.movie import load_poster
from mmgenre.prediction.predictor import GenrePredictor
from tests.small_model2 import LENGTHS, TOKENS, batch_of, random_params, small_model


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return GenrePredictor.load(tiny_run.path)


@pytest.mark.parametrize("missing", [None, "poster", "overview"])
def test_attributions_are_complete(missing, predictor, demo_corpus):
    pixels = load_poster(str(sorted((demo_corpus / "posters").iterdir())[0]))
    poster = None if missing == "poster" else pixels
    overview = None if missing == "overview" else "A boy finds a map, and robots haunt the ship."
    found = explanation.explain(predictor, poster, overview)
    assert found.prediction.missing == missing
    assert len(found.genres) >= 3
    for genre in found.genres:
        parts = genre.attribution
        assert parts.complete and parts.relative_gap <= 0.02
        assert len(parts.words) == len(found.spans)
        if missing == "poster":
            assert not parts.pixels.any()
        assert (genre.poster_share is None) == (missing is not None)
        rule = predictor.rules.of(has_poster=poster is not None, has_overview=overview is not None)
        logit = parts.logit * rule.scales[parts.genre] + rule.biases[parts.genre]
        assert genre.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_attributions_of_words_hold_their_pairs_too():
    model = fusion.build(small_model())
    params, batch = random_params(model), batch_of(TOKENS[1:2], LENGTHS[1:2])
    (found,) = attribution.attribute(model, params, batch, [4], num_tokens=7)
    logits = model.apply({"params": params}, batch, deterministic=True)
    assert found.logit == pytest.approx(float(logits[0, 4]), abs=1e-4)
    assert found.complete


def test_a_page_escapes_what_it_shows(predictor):
    overview = "<script>alert(1)</script> a boy & a girl " + "word " * 500
    page = explanation.explanation_page(predictor, explanation.explain(predictor, None, overview))
    assert "<script>" not in page and "no poster" in page
    assert "girl" in page


def test_shares_by_hand():
    share = split_record.poster_share(np.array([3.0, 0]), np.array([2.0, 0]), np.array([0.0, 0]))
    np.testing.assert_allclose(share, [0.75, 0.5])


def test_smoothing_keeps_the_sum_and_the_place():
    pixels = np.zeros((64, 64))
    pixels[20, 40] = 1
    smooth = explanation.smoothed(pixels)
    assert smooth.sum() == pytest.approx(1)
    assert np.unravel_index(smooth.argmax(), smooth.shape) == (20, 40)


def concentration(parts, inside):
    """How much more of the positive attribution falls inside than if it fell anywhere alike."""
    raised = np.maximum(parts, 0)
    return raised[inside].sum() / raised.sum() / inside.mean()


@pytest.mark.slow
def test_attributions_fall_where_the_signal_was_planted(tmp_path):
    """Trains a small model on the demo corpus: minutes."""
    from data_prep.demo.corpus import read_planted, write_demo_corpus
    from data_prep.prepare import PrepareConfig, prepare
    from mmgenre.config import Config, DataConfig, ModelConfig
    from mmgenre.runs.directory import RunDirectory
    from mmgenre.training.trainer import train_and_evaluate

    corpus = tmp_path / "corpus"
    write_demo_corpus(corpus, num_movies=2400, seed=3)
    data = prepare(
        PrepareConfig(
            metadata=corpus / "movies_metadata.csv",
            posters=corpus / "posters",
            out=tmp_path / "data",
            processes=1,
            progress="none",
        )
    )
    model = ModelConfig(
        cnn_filters=(16, 16, 32, 32), poster_features=128, embedding_size=64, vocabulary_size=5000
    )
    config = Config(batch_size=64, epochs=25, data=DataConfig(mode="host"), model=model)
    run = RunDirectory.start(tmp_path / "run", config, data)
    train_and_evaluate(config, data, run)
    predictor = GenrePredictor.load(run.path)
    words, regions = planted_concentrations(predictor, corpus, read_planted(corpus), most=60)
    assert len(words) >= 20 and len(regions) >= 20
    assert np.median(words) > 1.5, np.median(words)
    assert np.median(regions) > 2, np.median(regions)


def planted_concentrations(predictor, corpus, planted, most):
    """Returns `concentration` for movies' planted words and regions of rightly predicted genres."""
    with (corpus / "movies_metadata.csv").open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    words, regions = [], []
    for movie in planted:
        if not (movie.words and movie.regions) or min(len(words), len(regions)) >= most:
            continue
        row = rows[movie.id]
        poster = load_poster(str(corpus / "posters" / row["poster_path"].lstrip("/")))
        tokens = predictor.encode(row["overview"])
        (prediction,) = predictor.predict(posters=[poster], overviews=[row["overview"]])
        right = [g for g in prediction.genres if g in movie.genres and g != "Drama"]
        if not right:
            continue
        spans = predictor.tokenizer.spans(row["overview"])[: len(tokens)]
        for parts in attribution.attribute(
            predictor.model,
            predictor.params,
            predictor.batch([poster], [tokens]),
            [schema.GENRES.index(genre) for genre in right],
            len(tokens),
        ):
            genre = schema.GENRES[parts.genre]
            cues = [(w.start, w.end) for w in movie.words if w.genre == genre]
            said = np.array(
                [any(start < z and a < end for a, z in cues) for _, _, start, end in spans]
            )
            if said.any() and parts.words.max() > 0:
                words.append(concentration(parts.words, said))
            shown = np.zeros(parts.pixels.shape, bool)
            for region in movie.regions:
                if region.genre == genre:
                    left, top, right_, bottom = (round(64 * edge) for edge in region.box)
                    shown[top:bottom, left:right_] = True
            if shown.any() and not shown.all():
                regions.append(concentration(parts.pixels, shown))
    return words, regions
