"""Results as files: typed, read back as written, old forms too; what is damaged or newer is not."""

import dataclasses
import json

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import FILE_NAME
from mmgenre.errors import UserError
from mmgenre.evaluation import notable_movies, operating_points, result_files
from mmgenre.evaluation.notable_movies import NotableMovies
from mmgenre.evaluation.results import (
    BaselineEvaluation,
    EvaluatedData,
    HalvesEvaluation,
    NotFitted,
    RunEvaluation,
)
from mmgenre.evaluation.split_record import SplitRecord
from tests.commands import run_several


def record(num_movies: int = 30) -> SplitRecord:
    generator = np.random.default_rng(0)
    labels = (generator.random((num_movies, schema.NUM_GENRES)) < 0.3).astype(np.uint8)
    labels[:, 3], labels[:, 4] = 0, 1  # Neither can be ranked.
    logits = generator.normal(size=(3, *labels.shape)).astype(np.float32)
    names = np.asarray([f"{n}" for n in range(num_movies)])
    has_poster = np.arange(num_movies) % 2 == 0
    return SplitRecord(
        7, "films", "ab" * 32, names, names, labels, *logits, has_poster, np.arange(num_movies)
    )


@pytest.fixture(scope="module")
def evaluation() -> RunEvaluation:
    of = record()
    found = operating_points.evaluate_logits(of.labels, of.logits, DecisionRule())
    return RunEvaluation(
        **vars(found),
        run="one",
        step=7,
        data=EvaluatedData(name="films", path="films", fingerprint="ab" * 32, split="test"),
        with_poster=HalvesEvaluation(**vars(found), poster_alone=found, overview_alone=found),
        baselines={
            "nothing": BaselineEvaluation(**vars(dataclasses.replace(found, per_genre={}))),
            "tfidf_logistic_regression": NotFitted.NO_SHARED_WORD,
        },
    )


def strict_json(text: str):
    """JSON as other programs read it, which know no NaN."""

    def refuse(name: str):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_an_evaluation_is_read_back_as_it_was_written(evaluation, tmp_path):
    path = tmp_path / "evaluation-test.json"
    path.write_text(evaluation.to_json())
    assert RunEvaluation.load(path) == evaluation
    fields = strict_json(path.read_text())
    assert fields["format_version"] == 4
    assert fields["baselines"]["tfidf_logistic_regression"] == "not_fitted_no_shared_word"
    assert fields["per_genre"][schema.GENRES[3]]["roc_auc"] is None
    assert "per_genre" not in fields["baselines"]["nothing"]


def test_version_1_is_read_with_its_bare_nan(evaluation, tmp_path):
    fields = json.loads(evaluation.to_json())
    del fields["format_version"], fields["baselines"]["tfidf_logistic_regression"]
    fields["roc_auc"]["macro"] = np.nan
    fields["confidence_intervals"]["roc_auc macro"] = [np.nan, np.nan]
    path = tmp_path / "evaluation-test.json"
    path.write_text(json.dumps(fields))
    read = RunEvaluation.load(path)
    assert read.roc_auc.macro is None and read.confidence_intervals["roc_auc macro"] is None
    assert read.f1 == evaluation.f1 and read.per_genre == evaluation.per_genre


def test_operating_points_of_version_2_are_read_under_their_names_of_today(evaluation, tmp_path):
    text = evaluation.to_json().replace('"format_version": 4', '"format_version": 2')
    for new, old in (("for micro F1", "global"), ("for macro F1", "per genre")):
        text = text.replace(f'"{new}"', f'"{old}"')
    path = tmp_path / "evaluation-test.json"
    path.write_text(text)
    assert '"per genre"' in text
    assert RunEvaluation.load(path) == evaluation


def test_what_older_programs_left_out_is_empty(evaluation, tmp_path):
    fields = json.loads(evaluation.to_json())
    for name in ("operating_points", "confidence_intervals", "log_loss", "with_poster"):
        del fields[name]
    path = tmp_path / "evaluation-test.json"
    path.write_text(json.dumps(fields))
    read = RunEvaluation.load(path)
    assert read.operating_points == read.confidence_intervals == {}
    assert read.with_poster is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "7"}, r"Expected `int`, got `str` - at `\$.step`"),
        ({"f1": {"micro": 1}}, "missing required field"),
        ({"per_genre": {}}, "no genres"),
        ({"format_version": "2"}, "its format_version is '2'"),
        ({"baselines": {"nothing": "because"}}, "because"),
    ],
)
def test_a_damaged_evaluation_is_an_error(evaluation, tmp_path, change, message):
    path = tmp_path / "evaluation-test.json"
    path.write_text(json.dumps(json.loads(evaluation.to_json()) | change))
    with pytest.raises(UserError, match=rf"evaluation-test.json is damaged .*{message}"):
        RunEvaluation.load(path)


def test_the_files_of_a_newer_program_are_refused_in_one_line(tiny_run, tmp_path):
    """By the command that reads them all."""
    files = result_files.of_own_data(tiny_run, schema.TEST)
    thresholds = tiny_run.path / FILE_NAME
    all_files = (files.evaluation, files.predictions, files.movies, thresholds)
    commands = []
    for number, changed in enumerate(all_files):
        folder = tmp_path / str(number)
        folder.mkdir()
        for path in tiny_run.path.iterdir():
            if path.is_file():
                (folder / path.name).write_bytes(path.read_bytes())
        if changed.name.endswith(".npz"):
            with np.load(changed) as arrays:
                np.savez(folder / changed.name, **{**arrays, "format_version": 9})
        else:
            fields = json.loads(changed.read_text()) | {"format_version": 9}
            (folder / changed.name).write_text(json.dumps(fields))
        commands.append(["--run", folder])
    results = run_several("mmgenre.report", commands)
    for changed, (code, out, error) in zip(all_files, results, strict=True):
        assert (code, out, error.count("\n")) == (2, "", 1), error
        name = changed.name
        assert f"{name} has format version 9, this program reads up to" in error


def test_a_record_is_read_back_and_one_without_a_version_is_of_version_1(tmp_path):
    path = tmp_path / "predictions-test.npz"
    record().save(path)
    read = SplitRecord.load(path)
    for name, value in vars(record()).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    with np.load(path) as arrays:
        assert arrays["format_version"] == 1
        fields = {name: arrays[name] for name in arrays if name != "format_version"}
    np.savez(path, **fields)
    np.testing.assert_array_equal(SplitRecord.load(path).logits, record().logits)
    np.savez(path, **{**fields, "logits": fields["logits"][:-1]})
    with pytest.raises(UserError, match=r"predictions-test.npz is damaged \(logits has the shape"):
        SplitRecord.load(path)


def test_notable_movies_are_chosen_by_loss_and_read_back(tmp_path):
    of = record(60)
    losses = np.logaddexp(0, of.logits) - of.logits * of.labels
    chosen = notable_movies.choose(of)
    order = np.argsort(losses.mean(axis=1))
    assert chosen.wrong[0] == order[-1] and chosen.right[0] == order[0]
    kinds = [of.labels[movie].tobytes() for movie in chosen.right]
    assert len(kinds) == 12 == len(set(kinds))
    posters = np.zeros((24, *schema.POSTER_SHAPE), np.uint8)
    overviews = [f"about {movie}" for movie in np.concatenate([*chosen])]
    movies = notable_movies.describe(of, chosen, overviews, posters, schema.GENRES)
    assert [movie.record for movie in movies.wrong] == chosen.wrong.tolist()
    assert movies.right[0].overview == f"about {chosen.right[0]}"
    assert (movies.right[0].poster_png is not None) == of.has_poster[chosen.right[0]]
    (tmp_path / "movies.json").write_text(movies.to_json())
    assert NotableMovies.load(tmp_path / "movies.json") == movies
