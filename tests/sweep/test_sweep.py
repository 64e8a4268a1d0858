"""Sweeps: what a grid means, how points are ranked, and the real command, stopped and resumed."""

import csv
import dataclasses
import json
import os
import signal
import time

import psutil
import pytest
from etils import epath

from mmgenre.config import Config
from mmgenre.errors import UserError
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.mirror import Mirror
from mmgenre.runs.object_store import StoredFolder
from mmgenre.sweep import child, results
from mmgenre.sweep.child import OUTPUT
from mmgenre.sweep.grid import Point, parse_grid, point_name, points
from mmgenre.sweep.place import Place
from mmgenre.sweep.results import DONE, FAILED, NOT_DONE, PointResult
from mmgenre.sweep.runner import DONE_FILE
from tests import object_store
from tests.commands import run_module, run_several
from tests.scale_helpers import (
    TINY,
    checkpoint_steps,
    ended,
    finish,
    rows,
    start,
    start_main,
    wait_for_step,
)

MODEL2 = "--config=configs/model2.py:trial"


def test_values_have_the_type_of_their_setting():
    axes = parse_grid(
        [
            "seed=0,2",
            "config.learning_rate=1,2e-3",
            "model.lstm_units=64,64x32,(8,),(8,4)",
            "model.head_units=none,16",
            "model.use_poster=true,False",
            "model.word_vectors=,/a/glove.txt",
        ]
    )
    assert axes == {
        "seed": (0, 2),
        "learning_rate": (1.0, 0.002),
        "model.lstm_units": ((64,), (64, 32), (8,), (8, 4)),
        "model.head_units": ((), (16,)),
        "model.use_poster": (True, False),
        "model.word_vectors": ("", "/a/glove.txt"),
    }
    assert [type(value) for value in axes["learning_rate"]] == [float, float]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no_such=1"], "no setting 'no_such'"),
        (["model.lstm_dropot=0.1"], "do you mean model.lstm_dropout?"),
        (["lstm_dropout=0.1"], "do you mean model.lstm_dropout?"),
        (["model=1"], "model is a group of settings"),
        (["seed"], "an axis is <setting>=<value>"),
        (["seed=0,x"], "'x' is not a whole number"),
        (["seed=0,"], "'' is not a whole number"),
        (["epochs=1.5"], "'1.5' is not a whole number"),
        (["learning_rate=fast"], "'fast' is not a number"),
        (["model.use_poster=maybe"], "'maybe' is not true or false"),
        (["model.lstm_units=(64,"], "whole numbers such as 64x32"),
        (["seed=0,1,0"], "the value 0 is there twice"),
        (["learning_rate=0.1,1e-1"], "the value 0.1 is there twice"),
        (["model.lstm_units=64,(64,)"], "the value (64,) is there twice"),
        (["seed=0", "seed=1"], "seed is there twice"),
        (["name=a,b"], "name cannot vary"),
        (["selection_metric=loss,f1/micro"], "ranked by different metrics"),
        (["data.dir=a,b"], "validated on different movies"),
    ],
)
def test_mistakes_in_a_grid_are_named(words, message):
    with pytest.raises(UserError) as error:
        parse_grid(words)
    assert message in str(error.value)


def test_every_combination_is_a_checked_config_and_its_flags_say_the_same():
    base = Config(epochs=3)
    axes = parse_grid(["model.lstm_units=8,8x4", "weight_decay=0,1e-5", "seed=0,1"])
    found = points(axes, base)
    assert len({point.name for point in found}) == 8
    assert [point.config.seed for point in found] == [0, 1] * 4  # The last axis is the fastest.
    assert found[7].name == "model.lstm_units=8x4,weight_decay=1e-05,seed=1"
    assert found[7].flags == [
        "--config.model.lstm_units=(8,4)",
        "--config.weight_decay=1e-05",
        "--config.seed=1",
    ]
    expected = dataclasses.replace(base, weight_decay=1e-5, seed=1)
    model = dataclasses.replace(base.model, lstm_units=(8, 4))
    assert found[7].config == dataclasses.replace(expected, model=model)
    with pytest.raises(UserError, match=r"seed=-1: config\.seed is -1"):
        points(parse_grid(["seed=-1,0"]), base)
    with pytest.raises(UserError, match="share the folder"):
        points(parse_grid(["model.word_vectors=/a/v.txt,/b/v.txt"]), base)
    with pytest.raises(UserError, match="at most 100,000 are possible"):
        numbers = ",".join(map(str, range(1, 102)))
        points(parse_grid([f"{name}={numbers}" for name in ("seed", "epochs", "batch_size")]), base)


def test_names_do_not_depend_on_the_order_and_fit_a_file_system():
    assert point_name({"seed": 0, "model.fusion": "sum"}) == "model.fusion=sum,seed=0"
    assert point_name({"model.fusion": "sum", "seed": 0}) == "model.fusion=sum,seed=0"
    many = [point_name({"model.lstm_units": (9,) * 200, "seed": seed}) for seed in range(3)]
    assert len(set(many)) == 3
    assert max(map(len, many)) < 200


def test_trials_draw_combinations_with_all_seeds():
    axes = parse_grid(["seed=0,1", "model.lstm_units=1,2,3,4", "model.embedding_size=1,2,3"])
    few, more = (points(axes, Config(), trials) for trials in (3, 5))
    assert len(few) == 6
    assert more[:6] == few  # A larger number draws the same ones, and more.
    for first, second in zip(few[::2], few[1::2], strict=True):
        assert (first.config.seed, second.config.seed) == (0, 1)
        assert dataclasses.replace(first.config, seed=1) == second.config
    assert points(axes, Config(), 3, trials_seed=1) != few
    everything = points(axes, Config(), 12)
    assert {point.name for point in everything} == {point.name for point in points(axes, Config())}
    for trials in (0, 13):
        with pytest.raises(UserError, match="must be 1 to 12"):
            points(axes, Config(), trials)


def finished(folder, name: str, point: Point, scores: list[dict[str, float]]) -> PointResult:
    run = RunDirectory(epath.Path(folder) / name)
    run.path.mkdir()
    lines = [{"step": 1, "train/loss": 0.5}]
    for step, row in enumerate(scores, 2):
        lines.append({"step": step, **{f"validation/{k}": v for k, v in row.items()}})
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"cut of')
    return PointResult.read(run, point, DONE)


@pytest.mark.parametrize("metric", ["f1/macro", "loss"])
def test_ranking_and_spread_by_hand(tmp_path, metric):
    axes = parse_grid(["model.embedding_size=1,2", "seed=0,1"])
    found = points(axes, Config(selection_metric=metric))
    values = [(0.1, 0.3), (0.5, 0.2), (0.4, 0.3), (0.6, 0.3)]  # Two epochs of each point.
    outcomes = []
    for number, (point, (first, second)) in enumerate(zip(found, values, strict=True)):
        scores = [{"loss": 1 - v, "f1/macro": v} for v in (first, second)]
        outcomes.append(finished(tmp_path, str(number), point, scores))
    assert [result.best_epoch for result in outcomes] == [2, 1, 1, 1]
    assert [result.metrics["f1/macro"] for result in outcomes] == [0.3, 0.5, 0.4, 0.6]
    order = [found.index(result.point) for result in results.ranked(outcomes)]
    assert order == [3, 1, 2, 0]

    best, other = results.over_seeds(axes, outcomes)
    assert best.settings == {"model.embedding_size": 2}
    assert best.n == other.n == 2
    assert vars(best.metrics["f1/macro"]) == pytest.approx({"mean": 0.5, "sd": 0.02**0.5})
    assert vars(other.metrics["loss"]) == pytest.approx({"mean": 0.6, "sd": 0.02**0.5})

    failed = dataclasses.replace(outcomes[3], status=FAILED, reason="no, not so", metrics={})
    undone = PointResult.read(RunDirectory(epath.Path(tmp_path) / "2"), found[2], NOT_DONE)
    assert undone.score is None  # Half trained, it has no rank.
    outcomes[2:] = [undone, failed]
    order = [found.index(result.point) for result in results.ranked(outcomes)]
    assert order == [1, 0, 2, 3]
    (only,) = results.over_seeds(axes, outcomes)
    assert only.settings == {"model.embedding_size": 1}
    results.write(epath.Path(tmp_path), axes, outcomes)
    table = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["rank"] for row in table] == ["1", "2", "", ""]
    assert table[3]["reason"] == "no, not so"
    assert "0.4000 ± 0.1414" in results.tables(axes, outcomes)


def test_mistakes_on_the_command_line(tmp_path):
    bad = [
        (["--grid", "seed=0"], "no config"),
        ([MODEL2], "no grid"),
        ([MODEL2, "--grid"], "expected at least one argument"),
        ([MODEL2, "--grid", "seed=0", "--trials=x"], "invalid int value: 'x'"),
        ([MODEL2, "--config.no_such=1", "--grid", "seed=0"], "no_such"),
        ([MODEL2, "--grid", "seed=0", "--config.epochs=none"], "epochs"),
        ([MODEL2, "--grid", "model.fusion=sum,mean"], "config.model.fusion is 'mean'"),
        ([MODEL2, "--config.seed=1", "--grid", "seed=0"], "seed is set by --config.seed and var"),
        (
            [MODEL2, "--grid", "seed=0", "--workdir=gs://b/x"],
            "into a folder of this machine or to s3://",
        ),
        ([MODEL2, f"--config.data.dir={tmp_path}", "--grid", "seed=0"], "not a prepared data set"),
        (  # This comes last: flags stay as they are from command to command.
            [MODEL2, "--grid=seed=0", "--coordinator=h:1", "--num_processes=2", "--process_id=0"],
            "a sweep is one process",
        ),
    ]
    commands = [[*arguments, *_default_folder(arguments, tmp_path)] for arguments, _ in bad]
    for (code, _, errors), (_, message) in zip(
        run_several("mmgenre.sweep", commands), bad, strict=True
    ):
        (line,) = errors.splitlines()
        assert code == 2
        assert line.startswith("error: ")
        assert message in line
    assert not (tmp_path / "sweep").exists()


def _default_folder(arguments: list[str], folder) -> list[str]:
    is_given = any(argument.startswith("--workdir") for argument in arguments)
    return [] if is_given else [f"--workdir={folder / 'sweep'}"]


def test_a_failed_point_does_not_end_the_others_and_what_is_done_is_skipped(tiny_dataset, tmp_path):
    folder = tmp_path / "sweep"
    settings = [*TINY, f"--config.data.dir={tiny_dataset.path}", f"--workdir={folder}"]
    settings = [flag for flag in settings if "vocabulary_size" not in flag]
    process = run_module(
        "mmgenre.sweep", *settings, "--grid", "model.vocabulary_size=5,2000", "seed=0"
    )
    assert process.returncode == 1, process.stderr
    assert "point 1/2: failed: the tokenizer of" in process.stderr
    last = process.stderr.splitlines()[-1]
    assert last.startswith("error: 1 of 2 points failed, the first one with: the tokenizer of")
    assert "point 2/2: epoch 1/1, average_precision/macro 0." in process.stderr

    report = json.loads((folder / "results.json").read_text())
    good, bad = report["points"]
    assert (good["rank"], good["status"], bad["rank"], bad["status"]) == (1, DONE, None, FAILED)
    assert good["settings"] == {"model.vocabulary_size": 2000, "seed": 0}
    run = folder / good["run"]
    (row,) = [row for row in rows(run) if "validation/loss" in row]
    assert good["score"] == row["validation/average_precision/macro"]
    assert f"{good['score']:.4f}" in process.stdout
    assert f"best: {run}" in process.stdout
    config = Config.from_json((run / "config.json").read_text())
    assert (config.model.vocabulary_size, config.seed) == (2000, 0)
    # An ordinary run, evaluated and reported; what it printed is kept, not shown.
    assert (run / "evaluation-test.json").exists()
    assert (run / "report.html").exists()
    assert "written to" in (run / OUTPUT).read_text()

    settings += ["--grid", "model.vocabulary_size=2000", "seed=0"]
    again = run_module("mmgenre.sweep", *settings)
    assert again.returncode == 0, again.stderr
    assert "1 of 1 points done before" in again.stderr
    assert f"{good['score']:.4f}" in again.stdout
    longer = run_module("mmgenre.sweep", *settings, "--config.epochs=2")
    assert longer.returncode == 2
    (line,) = longer.stderr.splitlines()
    assert line.startswith(f"error: {run} holds a run with config.epochs = 1, now it is 2")


def test_the_reason_of_a_failure_is_this_processes_own(tmp_path):
    (tmp_path / OUTPUT).write_text("error: of an earlier one\n")
    code, reason = child.train(["--config=nope.py"], tmp_path, child.Signals(), lambda: None)
    assert code == 2
    assert "nope.py" in reason


@pytest.mark.slow
def test_signals_pass_through_and_the_same_command_goes_on(tiny_dataset, tmp_path):
    folder = tmp_path / "sweep"
    settings = [
        *TINY,
        f"--config.data.dir={tiny_dataset.path}",
        f"--workdir={folder}",
        "--config.epochs=12",
        "--config.patience=0",
        "--grid",
        "model.lstm_dropout=0.0,0.5",
        "seed=0,1",
    ]
    names = [f"model.lstm_dropout={rate},seed={seed}" for rate in (0.0, 0.5) for seed in (0, 1)]
    process = start("mmgenre.sweep", *settings, start_new_session=True)
    with ended(process):
        wait_for_step(folder / names[1], 6, process)
        os.killpg(process.pid, signal.SIGINT)  # As Ctrl-C in a terminal; one signal for the point.
        code, output = finish(process)
    assert code == 130, output
    assert "SIGINT: stopped in point 2/4; go on with: python -m mmgenre.sweep" in output
    assert (folder / names[0] / DONE_FILE).exists()
    assert not (folder / names[1] / DONE_FILE).exists()
    saved = checkpoint_steps(folder / names[1])[-1]
    assert f"SIGINT: saved after step {saved}" in (folder / names[1] / OUTPUT).read_text()

    # Killed without a word, it takes the point under way with it, which saves and ends.
    process = start("mmgenre.sweep", *settings)
    with ended(process):
        wait_for_step(folder / names[2], 6, process)
        process.kill()
        _, output = finish(process)
    assert "point 2/4: done" in output
    resumed = (folder / names[1] / OUTPUT).read_text()
    assert f"resuming from the checkpoint of step {saved}" in resumed
    deadline = time.monotonic() + 120
    while "saved after step" not in (folder / names[2] / OUTPUT).read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)

    # A point that the kernel kills is one that failed; the next one is trained all the same.
    before = {name: (folder / name / "metrics.jsonl").stat().st_mtime_ns for name in names[:2]}
    reached = rows(folder / names[2])[-1]["step"]
    process = start("mmgenre.sweep", *settings)
    with ended(process):
        wait_for_step(folder / names[2], reached + 3, process)
        (point,) = psutil.Process(process.pid).children()
        point.kill()
        code, output = finish(process)
    assert code == 1, output
    assert "point 3/4: failed: killed by SIGKILL" in output
    assert "point 4/4: done" in output

    process = start("mmgenre.sweep", *settings)
    with ended(process):
        code, output = finish(process)
    assert code == 0, output
    assert "3 of 4 points done before" in output
    for name, modified in before.items():
        assert (folder / name / "metrics.jsonl").stat().st_mtime_ns == modified
    report = json.loads((folder / "results.json").read_text())
    assert [point["status"] for point in report["points"]] == [DONE] * 4
    scores = [point["score"] for point in report["points"]]
    assert scores == sorted(scores, reverse=True)
    assert [group["n"] for group in report["over_seeds"]] == [2, 2]
    for point in report["points"]:
        # The epoch whose checkpoint the run itself has evaluated as its best.
        run = folder / point["run"]
        evaluated = json.loads((run / "evaluation-test.json").read_text())["step"]
        epochs = [row["step"] for row in rows(run) if "validation/loss" in row]
        assert len(epochs) == 12
        assert epochs[point["best_epoch"] - 1] == evaluated
    # Whichever point was the first to need the baselines has fitted them for all.
    said = "".join((folder / point["run"] / OUTPUT).read_text() for point in report["points"])
    assert said.count("fitting the baselines") <= 1
    assert all("baselines" in json.loads(p.read_text()) for p in folder.glob("*/evaluation-*.json"))

    # An interrupted point ends as an undisturbed run does.
    flags = [*settings[: settings.index("--grid")], "--config.model.lstm_dropout=0.0"]
    alone = start_main(*flags[len(TINY) :], "--config.seed=1", f"--workdir={tmp_path / 'alone'}")
    with ended(alone):
        code, output = finish(alone)
    assert code == 0, output
    assert rows(tmp_path / "alone") == rows(folder / names[1])


def test_of_a_sweep_on_a_store_small_files_are_here_while_it_goes_on(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with object_store.bucket(monkeypatch):
        store, place = StoredFolder("s3://bucket"), Place("s3://bucket/sweep/")
        store.write("sweep/seed=0/metrics.jsonl", b"{}")
        store.write("sweep/seed=0/checkpoints/1/params/0", b"large")
        store.write("sweep/results.json", b'{"axes": {}, "points": []}')
        with place.held(["seed=0", "seed=1"]):
            found = [path for path in place.folder.rglob("*") if path.is_file()]
            assert found == [place.folder / "seed=0" / "metrics.jsonl"]
            assert place.shown(found[0]) == "s3://bucket/sweep/seed=0/metrics.jsonl"
            in_use = pytest.raises(UserError, match=r"^s3://bucket/sweep is in use by")
            with in_use, place.held([]):
                pass
            (place.folder / "results.csv").write_text("rank")
            place.send(place.folder / "results.csv")
        assert store.read("sweep/results.csv") == b"rank"
        assert not place.folder.exists()
        store.write("other/config.json", b'{"model": {}, "data": {}}')
        other = Place("s3://bucket/other")
        with pytest.raises(UserError, match="is a run, not a sweep"), other.held([]):
            pass


@pytest.mark.slow
def test_a_sweep_into_a_bucket_goes_on_where_it_ended(tiny_dataset, tmp_path, monkeypatch):
    address = "s3://bucket/sweep"
    settings = [*TINY, f"--config.data.dir={tiny_dataset.path}", f"--workdir={address}"]
    with object_store.bucket(monkeypatch):
        first = run_module("mmgenre.sweep", *settings, "--grid", "seed=0")
        assert first.returncode == 0, first.stderr
        assert f"best: {address}/seed=0" in first.stdout
        assert "point 1/1: epoch 1/1, average_precision/macro 0." in first.stderr
        again = run_module("mmgenre.sweep", *settings, "--grid", "seed=0,1")
        assert again.returncode == 0, again.stderr
        assert f"{address}: 1 of 2 points done before" in again.stderr
        assert f"written to {address}/results.json and results.csv" in again.stdout
        Mirror(address, tmp_path / "sweep").fetch()
        report = json.loads((tmp_path / "sweep" / "results.json").read_text())
        assert [point["status"] for point in report["points"]] == [DONE, DONE]
        for point in report["points"]:
            assert (tmp_path / "sweep" / point["run"] / "report.html").exists()
        longer = run_module("mmgenre.sweep", *settings, "--grid", "seed=0", "--config.epochs=2")
        assert longer.returncode == 2
        (line,) = longer.stderr.splitlines()
        assert line.startswith(f"error: {address}/seed=0 holds a run with config.epochs = 1")
