"""The baselines: what they learn, and their command."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mmgenre import schema
from mmgenre.evaluation import fitted_baselines, linear_pile
from mmgenre.evaluation.baseline_models import (
    CannotBeFittedError,
    Movies,
    PosterModel,
    TfidfModel,
    VectorModel,
    poster_features,
)
from mmgenre.evaluation.results import NotFitted
from tests.commands import run_module, run_several


def movies(num_movies: int, seed: int = 0) -> Movies:
    """Action is said in words, Comedy shown by bright posters, every third has no poster."""
    generator = np.random.default_rng(seed)
    labels = np.zeros((num_movies, schema.NUM_GENRES), np.uint8)
    labels[:, :2] = generator.random((num_movies, 2)) < 0.4
    has_poster = np.arange(num_movies) % 3 > 0
    posters = np.zeros((num_movies, *schema.POSTER_SHAPE), np.uint8)
    posters[:] = (60 + 90 * labels[:, 1])[:, None, None, None]
    posters += generator.integers(0, 60, posters.shape, np.uint8)
    posters[~has_poster] = 0
    words = np.where(labels[:, 0], "a loud chase", "a quiet walk")
    return Movies([f"{text} home" for text in words], posters, has_poster, labels)


def test_they_learn_what_there_is_to_learn():
    train, test = movies(300), movies(90, seed=1)
    text, poster = TfidfModel(train).logits(test), PosterModel(train).logits(test)
    np.testing.assert_array_equal(text[:, 0] > 0, test.labels[:, 0] == 1)
    seen = test.has_poster
    np.testing.assert_array_equal(poster[seen, 1] > 0, test.labels[seen, 1] == 1)
    # Without a poster: the log-odds of the genre among the movies that have one.
    frequency = train.labels[train.has_poster, 1].mean()
    np.testing.assert_allclose(poster[~seen, 1], np.log(frequency / (1 - frequency)))
    # A genre that no movie has is never predicted.
    assert (text[:, 5] < 0).all() and (poster[:, 5] < 0).all()


def with_vectors(movies: Movies, seed: int) -> Movies:
    """Vectors in which War is said by overviews and Western by posters; some halves are missing."""
    generator = np.random.default_rng(seed)
    count = len(movies.labels)
    movies.labels[:, 2:4] = generator.random((count, 2)) < 0.4
    vectors = {}
    for place, feature in enumerate(schema.VECTORS):
        values = 5 + 3 * generator.normal(size=(count, 8))
        values[:, 1] += 12 * movies.labels[:, 2 + place]
        values[~movies.has_poster if feature == schema.POSTER_VECTOR else slice(0, 9)] = 0
        vectors[feature] = values.astype(np.float16)
    return dataclasses.replace(movies, vectors=vectors)


@pytest.mark.parametrize("has_validation", [True, False])
def test_vectors_say_what_there_is_to_learn(has_validation):
    train, test = with_vectors(movies(400), 1), with_vectors(movies(90, seed=1), 2)
    validation = with_vectors(movies(90, seed=2), 3) if has_validation else None
    for place, feature in enumerate(schema.VECTORS):
        logits = VectorModel(train, feature, validation).logits(test)
        seen = test.vectors[feature].any(axis=1)
        assert 0 < seen.sum() < len(seen)
        assert roc_auc_score(test.labels[seen, 2 + place], logits[seen, 2 + place]) > 0.97
        there = train.vectors[feature].any(axis=1)
        frequency = train.labels[there, 2 + place].mean()
        np.testing.assert_allclose(logits[~seen, 2 + place], np.log(frequency / (1 - frequency)))
        assert (logits[:, 5] < -10).all()  # No movie is of it.


def test_the_strength_is_the_best_one_on_validation():
    """Where vectors say nothing of the genres, the strongest regularisation loses least."""
    train, validation = with_vectors(movies(200), 1), with_vectors(movies(90, seed=2), 3)
    noise = np.random.default_rng(0).normal(size=(200, 100)).astype(np.float16)
    train = dataclasses.replace(train, vectors={schema.OVERVIEW_VECTOR: noise})
    validation = dataclasses.replace(validation, vectors={schema.OVERVIEW_VECTOR: noise[:90]})
    chosen = VectorModel(train, schema.OVERVIEW_VECTOR, validation).logits(validation)
    default = VectorModel(train, schema.OVERVIEW_VECTOR, None).logits(validation)
    assert chosen[:, :4].std(axis=0).max() < 0.7 * default[:, :4].std(axis=0).min()


def test_vectors_that_no_movie_has_say_why():
    train = with_vectors(movies(60), 1)
    nothing = {name: np.zeros((60, 8), np.float16) for name in schema.VECTORS}
    train = dataclasses.replace(train, vectors=nothing)
    for feature, reason in (
        (schema.POSTER_VECTOR, NotFitted.NO_POSTER),
        (schema.OVERVIEW_VECTOR, NotFitted.NO_OVERVIEW),
    ):
        with pytest.raises(CannotBeFittedError) as error:
            VectorModel(train, feature, None)
        assert error.value.reason is reason


def test_poster_features_by_hand():
    poster = np.zeros((1, *schema.POSTER_SHAPE), np.uint8)
    poster[0, :, 32:, 0] = 255  # The right half is red.
    features = poster_features(poster)
    assert features.shape == (1, 408)
    colours = features[0, :192].reshape(8, 8, 3)
    np.testing.assert_array_equal(colours[:, 4:, 0], 1)
    np.testing.assert_array_equal(colours[:, :4], 0)
    histogram = features[0, 192:216].reshape(8, 3)
    np.testing.assert_array_equal(histogram[:, 0], [0.5, 0, 0, 0, 0, 0, 0, 0.5])
    horizontal = features[0, 280:344].reshape(8, 8)
    assert (horizontal[:, 3:5] > 0).all() and horizontal[:, :3].sum() == 0


def test_what_cannot_be_fitted_says_why():
    train = movies(60)
    unlike = [f"{n}th" for n in range(60)]
    for overviews in ([""] * 60, unlike):
        with pytest.raises(CannotBeFittedError) as error:
            TfidfModel(dataclasses.replace(train, overviews=overviews))
        assert error.value.reason is NotFitted.NO_SHARED_WORD
    with pytest.raises(CannotBeFittedError) as error:
        PosterModel(dataclasses.replace(train, has_poster=np.zeros(60, bool)))
    assert error.value.reason is NotFitted.NO_POSTER


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_is_answered_for_all(label):
    train, test = movies(60), movies(20, seed=1)
    train.labels[:] = label
    for model in (TfidfModel(train), PosterModel(train)):
        logits = model.logits(test)
        assert np.isfinite(logits).all() and ((logits > 0) == label).all()


def test_the_pile_learns_what_there_is_to_learn():
    train, test = movies(300), movies(90, seed=1)
    scores = linear_pile.TextPile(train).scores(test)
    assert len(scores) == len(linear_pile.TextPile.NAMES)
    for each in scores:
        np.testing.assert_array_equal(each[:, 0] > 0, test.labels[:, 0] == 1)
        assert (each[:, 5] < 0).all()  # No movie is of it.
    poster = linear_pile.detailed_poster_model(train)
    seen = test.has_poster
    np.testing.assert_array_equal(poster.logits(test)[seen, 1] > 0, test.labels[seen, 1] == 1)
    useless = np.random.default_rng(0).normal(size=scores[0].shape)
    weights = linear_pile.fit_weights([*scores, useless], test.labels)
    assert (weights >= 0).all() and weights[:-1].sum() > 5 * weights[-1]


def test_detailed_features_by_hand():
    poster = np.zeros((1, *schema.POSTER_SHAPE), np.uint8)
    poster[0, 32:] = (255, 0, 0)  # Red below black: one edge across, which leads down.
    features = linear_pile.detailed_features(poster)
    assert features.shape == (1, 1000) and features.dtype == np.float32
    saturation = features[0, 408:472].reshape(8, 8)
    np.testing.assert_array_equal(saturation, np.repeat([0, 1], 4)[:, None] * np.ones(8))
    np.testing.assert_array_equal(features[0, 472:488], [0.5, *[0] * 14, 0.5])
    edges = features[0, 488:].reshape(8, 8, 8)
    assert (edges[3:5, :, 4] > 0.9).all() and not np.delete(edges, 4, axis=2).any()


def test_they_are_fitted_once_per_data_set(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    test = fitted_baselines.read_movies(tiny_dataset, schema.TEST)

    def answer(movies=test, split=schema.TEST):
        return fitted_baselines.answer(tiny_dataset, movies, tiny_dataset, split)

    first = answer()
    (kept,) = (tmp_path / "mmgenre" / "baselines").iterdir()
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    fit, fits = fitted_baselines._fit_and_answer, []
    monkeypatch.setattr(
        fitted_baselines, "_fit_and_answer", lambda *given: fits.append(given) or fit(*given)
    )
    again = answer()
    assert not fits
    for found, expected in ((again.logits, first.logits), (again.validation, first.validation)):
        assert set(found) == set(fitted_baselines.names(tiny_dataset.info, tiny_dataset.info))
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    kept.write_bytes(kept.read_bytes()[:-300])  # As a full disk would leave it.
    np.testing.assert_array_equal(answer().logits["linear_pile"], first.logits["linear_pile"])
    assert len(fits) == 1
    answer()
    validation = fitted_baselines.read_movies(tiny_dataset, schema.VALIDATION)
    other = answer(validation, schema.VALIDATION)
    assert len(fits) == 2  # Answers for other movies are others.
    np.testing.assert_array_equal(other.logits["linear_pile"], first.validation["linear_pile"])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # No cache can be there.
    np.testing.assert_array_equal(answer().logits["linear_pile"], first.logits["linear_pile"])
    assert len(fits) == 3


def test_the_command(tiny_dataset, tmp_path):
    out = tmp_path / "baselines.json"
    process = run_module("mmgenre.baselines", "--data", tiny_dataset.path, "--out", out, "--full")
    assert process.returncode == 0, process.stderr
    assert "predict every genre" in process.stdout
    assert "average_precision micro" in process.stdout
    reports = json.loads(out.read_text())
    assert reports["nothing"]["f1"]["micro"] == 0
    points = reports["tfidf_and_poster_features"]["operating_points"]
    assert points["0.5"]["thresholds"] == 0.5 and len(points["for macro F1"]["thresholds"]) == 18
    low, high = reports["tfidf_and_poster_features"]["confidence_intervals"]["f1 micro"]
    shown = f"{points['for micro F1']['f1']['micro']:.3f} ({low:.3f}-{high:.3f})"
    assert shown in process.stdout
    both = reports["most_common_genres"]
    assert both["with_poster"]["num_movies"] < both["num_movies"]


def test_a_data_set_without_a_train_split(tiny_dataset, tmp_path):
    """As `prepare --all-to test` makes them; here, what is not test is taken out."""
    shutil.copytree(tiny_dataset.path, tmp_path / "held-out")
    info = dataclasses.replace(
        tiny_dataset.info, splits={schema.TEST: tiny_dataset.split(schema.TEST)}
    )
    (tmp_path / "held-out" / "dataset.json").write_text(info.to_json())
    out = tmp_path / "baselines.json"
    process = run_module("mmgenre.baselines", "--data", tmp_path / "held-out", "--out", out)
    assert process.returncode == 0, process.stderr
    assert "Not fitted, the data set has no train split: most common genres" in process.stdout
    reports = json.loads(out.read_text())
    assert reports.pop("every_genre")["recall"]["micro"] == 1
    assert reports.pop("nothing")["num_movies"] == tiny_dataset.split(schema.TEST).num_movies
    assert set(reports.values()) == {NotFitted.NO_TRAIN_SPLIT}


def test_mistakes(tiny_dataset, tmp_path):
    data = ["--data", tiny_dataset.path]
    cases = [
        (["--data", tmp_path], "is not a prepared data set"),
        ([*data, "--split", "dev"], "invalid choice: 'dev'"),
        ([*data, "--out", tmp_path / "no" / "file.json"], "cannot write"),
    ]
    results = run_several("mmgenre.baselines", [arguments for arguments, _ in cases])
    for (_, message), (code, _, error) in zip(cases, results, strict=True):
        assert code == 2
        assert message in error.splitlines()[-1]
