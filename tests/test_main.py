"""The command of training, as users run it."""

import json

import pytest

from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows
from tests.commands import run_module
from tests.scale_helpers import TINY

MODEL1 = "--config=configs/model1.py:trial"


def test_help_answers_without_heavy_imports():
    process = run_module("mmgenre.main", "--help", prefix=("-X", "importtime"))
    assert process.returncode == 0
    assert "--config" in process.stdout
    imported = {line.split("|")[-1].strip() for line in process.stderr.splitlines()}
    assert not imported & {"jax", "tensorflow", "flax", "orbax", "sklearn"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no config; add --config configs/model1.py"),
        (["--config=nope.py", "--config.epochs=2"], "'nope.py' does not exist; there are configs/"),
        (["--config.epochs=2"], "no config; add --config"),
        (["--config", "configs", "--config.epochs=2"], "'configs' is a folder; there are configs/"),
        (["--config=configs/model1.py:huge"], "model1 has no variant 'huge'; there is 'trial'"),
        ([MODEL1, "--config.epoch=1"], "no setting 'epoch'; do you mean epochs?"),
        ([MODEL1, "--config.model.no_such=1"], "no setting 'model.no_such'"),
        ([MODEL1, "--config.epochs=three"], "config.epochs is 'three', but it must be a whole"),
        (["--config.epochs=2", MODEL1], "--config comes after a setting; it goes before"),
        ([MODEL1, "--config.learning_rate=-1"], "config.learning_rate is -1.0"),
        ([MODEL1, "--no_such_flag"], "no_such_flag"),
        ([MODEL1, "stray"], "unexpected argument 'stray'"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message):
    process = run_module("mmgenre.main", *arguments, prefix=("-X", "importtime"))
    lines = [line for line in process.stderr.splitlines() if not line.startswith("import time:")]
    assert process.returncode == 2, process.stderr
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    imported = {line.split("|")[-1].strip() for line in process.stderr.splitlines()}
    assert "jax" not in imported


def test_a_folder_that_is_no_data_set(tmp_path):
    process = run_module(
        "mmgenre.main", MODEL1, f"--config.data.dir={tmp_path}", f"--workdir={tmp_path / 'run'}"
    )
    assert process.returncode == 2
    (line,) = [line for line in process.stderr.splitlines() if "error" in line]
    assert f"error: {tmp_path} is not a prepared data set" in line
    assert "mmgenre prepare" in line
    assert not (tmp_path / "run").exists()


def test_training_resuming_and_evaluating(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    settings = [
        *TINY,
        f"--workdir={workdir}",
        f"--config.data.dir={tiny_dataset.path}",
        "--config.batch_size=32",
        "--config.log_every_steps=1",
    ]
    first = run_module("mmgenre.main", *settings, optimized=True)
    assert first.returncode == 0, first.stderr
    assert str(workdir) in first.stdout
    assert "data set: tiny" in first.stderr.splitlines()[0]
    report = json.loads((workdir / "evaluation-test.json").read_text())
    assert report["num_movies"] == tiny_dataset.split("test").num_movies
    assert set(report["baselines"]) == {
        "nothing",
        "every_genre",
        "most_common_genres",
        "tfidf_logistic_regression",
        "poster_features_logistic_regression",
        "tfidf_and_poster_features",
        "linear_pile",
    }
    assert (workdir / "thresholds.json").exists()
    rows = read_rows(RunDirectory.open(workdir).metrics_file)
    assert any("validation/f1/micro" in row for row in rows)
    assert {"train/loss", "train/accuracy", "train/f1", "train/movies_per_second"} <= set(rows[0])
    assert list((workdir / "tensorboard").glob("events.out.tfevents.*"))

    second = run_module("mmgenre.main", *settings, "--config.epochs=2", optimized=True)
    assert second.returncode == 0, second.stderr
    assert "resuming from the checkpoint of step" in second.stderr
    steps = [row["step"] for row in read_rows(RunDirectory.open(workdir).metrics_file)]
    assert steps == sorted(steps)
    assert max(steps) == 2 * rows[-1]["step"]

    third = run_module("mmgenre.main", *settings, "--config.learning_rate=0.5")
    assert third.returncode == 2
    assert "config.learning_rate = 0.001, now it is 0.5" in third.stderr
