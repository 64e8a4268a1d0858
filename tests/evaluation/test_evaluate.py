"""Evaluation on held-out shards: every movie once, by the same numbers, with clear errors."""

import collections
import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
import pytest

from data_prep.prepare import PrepareConfig, prepare
from mmgenre import schema
from mmgenre.dataset.batch_plan import plan_evaluation
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.read_split import read_split
from mmgenre.dataset.record_reader import ShardReader
from mmgenre.distributed import device_mapping
from mmgenre.errors import UserError
from mmgenre.evaluation import (
    eval_steps,
    evaluate_run,
    notable_movies,
    predict_split,
    result_files,
)
from mmgenre.evaluation.results import NotFitted, RunEvaluation
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.models import fusion, predict_step
from mmgenre.runs import best_params
from mmgenre.runs.directory import RunDirectory
from tests.commands import run_module, run_several


@pytest.fixture(scope="module")
def held_out(demo_corpus, tiny_run, tmp_path_factory):
    """Another data set for evaluation alone, made with the run's tokenizer."""
    return prepare(
        PrepareConfig(
            metadata=demo_corpus / "movies_metadata.csv",
            posters=demo_corpus / "posters",
            out=tmp_path_factory.mktemp("held_out") / "held-out",
            tokenizer=tiny_run.tokenizer_file,
            all_to=schema.TEST,
            num_shards=2,
            processes=1,
            progress="none",
        )
    )


def test_evaluation_never_drops_a_movie(tiny_run, tiny_dataset):
    assert jax.device_count() == 4
    config = dataclasses.replace(tiny_run.load_config(), batch_size=8)
    source = MovieSource(tiny_dataset, schema.TRAIN, config.data)
    assert len(source.num_tokens) % 4
    model = fusion.build(config.model)
    params, _ = best_params.load_best_params(tiny_run, model)
    eval_step = device_mapping.jit_eval_step(functools.partial(eval_steps.eval_step, model=model))
    predictions = predict_split.predict_split(eval_step, params, source, config)
    np.testing.assert_array_equal(
        predictions.labels, read_split(tiny_dataset, schema.TRAIN, schema.LABELS)[schema.LABELS]
    )
    # Validation during training takes the program of the evaluation, whose answers are the same.
    views_step = eval_steps.compiled_views(model)
    whole = predict_split.predict_whole(views_step, params, source, config)
    np.testing.assert_array_equal(whole.logits, predictions.logits)
    # The same movies one by one, on one device, without any batch to pad.
    plan = plan_evaluation(
        source.num_tokens, batch_size=1, bucket_lengths=config.data.bucket_lengths
    )
    predict = jax.jit(functools.partial(predict_step.predict_step, model=model))
    host_params = jax.device_get(params)
    for (number,), batch in zip(plan.movies, source.batches(plan), strict=True):
        np.testing.assert_allclose(
            predictions.logits[number], predict(host_params, batch)[0], atol=1e-5
        )


def test_the_command_on_shards_prepared_elsewhere(tiny_run, held_out, tmp_path):
    out = tmp_path / "report.json"
    process = run_module(
        "mmgenre.evaluate", "--run", tiny_run.path, "--data", held_out.path, "--out", out
    )
    assert process.returncode == 0, process.stderr
    report = json.loads(out.read_text())
    assert report["num_movies"] == held_out.split(schema.TEST).num_movies
    for metric in ("accuracy", "exact_match", "hamming_loss", "loss"):
        assert 0 <= report[metric] <= 1
    for metric in ("precision", "recall", "f1"):
        assert set(report[metric]) == {"micro", "macro", "weighted", "samples"}
    assert set(report["roc_auc"]) == {"micro", "macro", "weighted"}
    assert set(report["average_precision"]) == {"micro", "macro", "weighted", "samples"}
    assert list(report["per_genre"]) == list(schema.GENRES)
    assert report["baselines"]["nothing"]["f1"]["micro"] == 0
    assert "tfidf_logistic_regression" in report["baselines"]
    assert set(report["operating_points"]) == {"0.5", "for micro F1", "for macro F1"}
    low, high = report["confidence_intervals"]["f1 micro"]
    assert low <= report["operating_points"]["for micro F1"]["f1"]["micro"] <= high
    assert report["operating_points"]["0.5"]["f1"] == report["f1"]
    low, high = report["baselines"]["linear_pile"]["model_minus_this"]["f1 micro"]
    assert -1 < low <= high < 1
    frequencies = report["baselines"]["most_common_genres"]["log_loss"]
    assert 0 < frequencies < report["baselines"]["every_genre"]["log_loss"]
    for half in ("poster_alone", "overview_alone"):
        assert set(report["with_poster"][half]["operating_points"]) == {
            "0.5",
            "for micro F1",
            "for macro F1",
        }
    assert report["with_poster"]["num_movies"] < report["num_movies"]
    # In 80 columns: the verdict, the methods, the genres.
    lines = process.stdout.splitlines()
    assert max(map(len, (line for line in lines if "written to" not in line))) <= 80
    assert " in micro F1 (" in lines[3]
    point = report["operating_points"]["for macro F1"]
    fitted = point["f1_by_genre"]
    assert np.mean(fitted) == pytest.approx(point["f1"]["macro"])
    row = next(line.split() for line in lines if line.startswith("Science Fiction"))
    number = list(report["per_genre"]).index("Science Fiction")
    assert row[2] == str(report["per_genre"]["Science Fiction"]["support"])
    assert row[3] == f"{fitted[number]:.3f}"


def test_full_prints_every_metric(tiny_run, held_out, tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    evaluate_run.evaluate_and_write(run, held_out, schema.TEST, full=True)
    shown = capsys.readouterr().out
    assert "overview alone" in shown and "average_precision macro" in shown


def test_another_data_set_leaves_the_runs_own_results_alone(tiny_run, held_out, tmp_path):
    """Nor do the report and the model card speak of it."""
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    own = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    process = run_module("mmgenre.evaluate", "--run", run.path, "--data", held_out.path)
    assert process.returncode == 0, process.stderr
    others = {path.name for path in run.path.iterdir() if path.is_file()} - set(own)
    name = f"test-held-out-{held_out.info.fingerprint[:8]}"
    assert others == {f"evaluation-{name}.json", f"predictions-{name}.npz", f"movies-{name}.json"}
    assert f"written to {run.path / f'evaluation-{name}.json'}" in process.stdout
    assert own == {name: (run.path / name).read_bytes() for name in own}
    of_other = RunEvaluation.load(run.path / f"evaluation-{name}.json")
    assert of_other.data.fingerprint == held_out.info.fingerprint
    assert of_other.num_movies == held_out.split(schema.TEST).num_movies

    own_movies = RunEvaluation.load(run.path / "evaluation-test.json").num_movies
    assert own_movies != of_other.num_movies
    report = run_module("mmgenre.report", "--run", run.path)
    assert report.returncode == 0, report.stderr
    assert f"for {own_movies} test movies of tiny" in (run.path / "report.html").read_text()
    export = run_module("mmgenre.export", "--run", run.path, "--out", tmp_path / "bundle")
    assert export.returncode == 0, export.stderr
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert f"On {own_movies} test movies, which neither training" in card


def test_evaluating_again_gives_the_same_files(tiny_run, tiny_dataset, tmp_path):
    run = RunDirectory(tmp_path / tiny_run.path.name)
    shutil.copytree(tiny_run.path, run.path)
    for path in vars(result_files.of_own_data(run, schema.TEST)).values():
        path.unlink()
    evaluate_run.evaluate_and_write(run, tiny_dataset, schema.TEST)
    first, again = (result_files.of_own_data(r, schema.TEST) for r in (tiny_run, run))
    assert RunEvaluation.load(again.evaluation) == RunEvaluation.load(first.evaluation)
    assert again.movies.read_text() == first.movies.read_text()
    np.testing.assert_array_equal(
        SplitRecord.load(again.predictions).logits, SplitRecord.load(first.predictions).logits
    )


def test_an_evaluation_passes_twice_over_its_split_and_once_over_the_others(
    tiny_run, tiny_dataset, tmp_path, monkeypatch
):
    """Once for the batches, once for all else; baselines read train and validation, once in all."""
    read = collections.Counter()
    read_records = ShardReader.read

    def counted(self, movies):
        read.update({self._paths[0].name.split(".")[0]: len(movies)})
        return read_records(self, movies)

    monkeypatch.setattr(ShardReader, "read", counted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    evaluate_run.evaluate_and_write(run, tiny_dataset, schema.TEST)
    sizes = {name: split.num_movies for name, split in tiny_dataset.info.splits.items()}
    assert read["mmgenre-train"] == sizes["train"]
    assert read["mmgenre-validation"] == sizes["validation"]
    batch = tiny_run.load_config().batch_size
    padded = -(-sizes["test"] // batch) * batch  # Padding rows hold a movie, too.
    notable = 2 * notable_movies.NUM_NOTABLE
    assert read["mmgenre-test"] <= padded + sizes["test"] + notable
    evaluate_run.evaluate_and_write(run, tiny_dataset, schema.TEST)  # As a sweep's next run.
    assert read["mmgenre-train"] == sizes["train"]
    assert read["mmgenre-validation"] == sizes["validation"]


@pytest.mark.parametrize("reason", [NotFitted.DATA_GONE, NotFitted.DATA_CHANGED])
def test_baselines_of_a_run_whose_data_are_gone_or_others(
    tiny_run, held_out, tmp_path, capsys, reason
):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    fields = json.loads(run.dataset_file.read_text())
    gone = reason is NotFitted.DATA_GONE
    fields["path"] = str(tmp_path / "gone" if gone else held_out.path)
    run.dataset_file.write_text(json.dumps(fields))
    evaluation = evaluate_run.evaluate_and_write(run, held_out, schema.TEST)
    assert list(evaluation.baselines)[:3] == ["nothing", "every_genre", "most_common_genres"]
    assert list(evaluation.baselines.values())[3:] == [reason] * 4
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Not fitted, {reason.sentence}: TF-IDF + LR, poster features + LR," in shown


def test_another_tokenizer_is_refused(demo_corpus, tiny_run, tmp_path):
    other = prepare(
        PrepareConfig(
            metadata=demo_corpus / "movies_metadata.csv",
            posters=demo_corpus / "posters",
            out=tmp_path / "other",
            vocabulary_size=50,
            num_shards=1,
            processes=1,
            progress="none",
        )
    )
    with pytest.raises(UserError, match=r"another tokenizer than .* --tokenizer"):
        evaluate_run.evaluate_and_write(tiny_run, other, schema.TEST)


def test_mistakes(tiny_run, tiny_dataset, tmp_path):
    run, data = ["--run", tiny_run.path], ["--data", tiny_dataset.path]
    cases = [
        (["--run", tmp_path / "none", *data], "is not a run (no such folder)"),
        (["--run", tmp_path, *data], "is not a run (no config.json in it)"),
        ([*run, "--data", tmp_path], "is not a prepared data set"),
        ([*run, *data, "--split", "dev"], "invalid choice: 'dev'"),
        ([*run, *data, "--out", tmp_path / "no" / "file.json"], "there is no folder"),
        (run, "--data"),
    ]
    results = run_several("mmgenre.evaluate", [arguments for arguments, _ in cases])
    for (_, message), (code, _, error) in zip(cases, results, strict=True):
        assert code == 2
        assert message in error.splitlines()[-1]


def test_baselines_by_hand(tiny_dataset):
    from mmgenre.evaluation.baselines import most_common_logits

    logits = most_common_logits(tiny_dataset.info)
    counts = np.asarray(tiny_dataset.split(schema.TRAIN).genre_counts)
    num_predicted = round(counts.sum() / tiny_dataset.split(schema.TRAIN).num_movies)
    assert set(np.flatnonzero(logits >= 0)) >= set(
        np.argsort(-counts, kind="stable")[:num_predicted]
    )
