"""A model with the vectors of frozen encoders, from training to predictions."""

import dataclasses

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from mmgenre.evaluation import fitted_baselines
from mmgenre.evaluation.predict_split import require_same_encoders
from mmgenre.evaluation.results import BaselineEvaluation, RunEvaluation
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.report import against_baselines
from mmgenre.report.run_data import RunData
from mmgenre.training import initial_values
from mmgenre.training.compiled_programs import Programs


def test_a_missing_half_adds_nothing_and_a_vector_something(encoded_run, encoded_dataset):
    record = SplitRecord.load(encoded_run.path / "predictions-test.npz")
    without = ~record.has_poster
    assert 0 < without.sum() < len(without)
    np.testing.assert_allclose(
        record.logits[without], record.overview_logits[without], rtol=1e-4, atol=1e-5
    )
    assert not np.allclose(record.logits[~without], record.overview_logits[~without], atol=1e-3)


def test_vectors_are_standardised_by_the_train_split(encoded_run, encoded_dataset):
    given = initial_values.from_data(encoded_run.load_config(), encoded_dataset)
    for name in schema.VECTORS:
        vectors = read_split(encoded_dataset, schema.TRAIN, name)[name].astype(np.float32)
        there = vectors[(vectors != 0).any(axis=1)]
        values = (there - given[name, "mean"]) * given[name, "scale"]
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
        assert set(np.round(values.std(axis=0), 3)) <= {0.0, 1.0}


def test_an_evaluation_has_baselines_on_vectors(encoded_run, encoded_dataset, tiny_dataset):
    found = RunEvaluation.load(encoded_run.path / "evaluation-test.json").baselines
    names = ["overview_vectors_logistic_regression", "poster_vectors_logistic_regression"]
    assert list(found)[-3:] == [*names, "both_vectors"]
    both = found["both_vectors"]
    assert isinstance(both, BaselineEvaluation) and "f1 micro" in both.model_minus_this
    assert both.with_poster is not None
    both_info = (encoded_dataset.info, tiny_dataset.info)
    assert not {*names, "both_vectors"} & set(fitted_baselines.names(*both_info))
    rows = against_baselines.rows(against_baselines.columns(RunData.load(encoded_run.path)))
    assert rows[-1].name == "both vectors + LR" and rows[-1].not_fitted is None


def test_baselines_on_vectors_are_kept(encoded_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    movies = fitted_baselines.read_movies(encoded_dataset, schema.TEST)
    first, again = (
        fitted_baselines.answer(encoded_dataset, movies, encoded_dataset, schema.TEST)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.logits["both_vectors"], again.logits["both_vectors"])
    assert set(again.validation) == set(first.validation) == set(first.logits)
    (kept,) = (tmp_path / "mmgenre" / "baselines").iterdir()
    assert "movies/poster_vectors_logistic_regression" in np.load(kept)


def test_a_data_set_without_vectors_is_one_line(encoded_run, tiny_dataset, encoded_dataset):
    config = encoded_run.load_config()
    assert isinstance(config, Config)
    with pytest.raises(UserError, match="has none; prepare it with --text-encoder"):
        Programs(config, tiny_dataset)
    with pytest.raises(UserError, match="has none; prepare it with --poster-encoder tests"):
        require_same_encoders(tiny_dataset, encoded_dataset.info, encoded_run)
    encoders = {
        name: dataclasses.replace(info, digest="0" * 64)
        for name, info in encoded_dataset.info.encoders.items()
    }
    other = dataclasses.replace(
        encoded_dataset, info=dataclasses.replace(encoded_dataset.info, encoders=encoders)
    )
    with pytest.raises(UserError, match=r"has those of colours \(000000000000\)"):
        require_same_encoders(other, encoded_dataset.info, encoded_run)
