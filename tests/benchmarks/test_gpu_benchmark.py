"""The benchmark for GPUs runs to its end on this machine, in little."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu_ours
from benchmarks.gpu_cases import name_of, our_cases, torch_cases
from benchmarks.gpu_data import make_movies, serve
from benchmarks.gpu_table import print_table, summarize
from benchmarks.gpu_worker import Worker
from mmgenre.config import ModelConfig
from mmgenre.dataset.batch_plan import BatchPlan
from tests.commands import run_module


def run_trial(words: str, out: Path) -> list[dict]:
    arguments = ("--platform", "cpu", "--trial", "--only", words, "--json", out)
    process = run_module("benchmarks.gpu", *arguments)
    assert process.returncode == 0, process.stderr
    assert "the figures mean nothing" in process.stdout
    report = json.loads(out.read_text())
    # The machine with the GPU need not have TensorFlow.
    assert report["workers"][0]["modules"] == []
    ours = [row for row in report["rows"] if row["framework"] == "mmgenre"]
    for row in ours:
        assert row["movies_per_second"] > 0, row
        assert row["floor_ms"] > 0, row
    return ours


def test_a_trial_on_the_cpu(tmp_path):
    (row,) = run_trial("one step a dispatch", tmp_path / "out.json")
    assert (row["mode"], row["dtype"], row["tokens"]) == ("resident", "bfloat16", "real")


@pytest.mark.slow
def test_a_trial_of_all_cases(tmp_path):
    rows = run_trial("mmgenre", tmp_path / "out.json")
    assert len(rows) == 6
    assert {row["mode"] for row in rows} == {"resident", "host"}
    assert {row["dtype"] for row in rows} == {"float32", "bfloat16"}


def test_a_kernel_is_compared_with_the_scan_and_timed_alone():
    case = our_cases("scan", [16])[0]
    model = ModelConfig(embedding_size=8, lstm_units=(16, 16))
    assert gpu_ours.kernel_error(case, model) == 0
    assert gpu_ours.kernel_error(dataclasses.replace(case, lstm="auto"), model) > 0
    assert gpu_ours.lstm_seconds(case, model) > 0


def test_cases_have_names_of_their_own():
    cases = [*our_cases("scan", [256, 1024]), *our_cases("wavefront", [256, 1024])]
    cases += torch_cases([256, 1024])
    assert len({name_of(case) for case in cases}) == len(cases)


def test_lengths_are_those_of_real_overviews():
    movies = make_movies(2000, vocabulary_size=50, max_tokens=128)
    assert abs(movies["num_tokens"].clip(max=128).mean() - 58.5) < 2  # As of 8,913 real ones.
    assert ((movies["tokens"] > 0).sum(axis=1) == movies["num_tokens"].clip(max=128)).all()


def test_a_process_that_dies_leaves_the_others_alone(tmp_path, capsys):
    cases = our_cases("cudnn", [256])
    worker = Worker("gpu_ours", "/bin/false", cases, tmp_path, {"platform": "gpu"})
    worker.measure()
    worker.close()
    plan = BatchPlan(np.zeros((2, 256), np.int64), np.array([64, 64]))
    plans = {f"256 {tokens}": plan for tokens in ("full", "real")}
    results = summarize([worker], ModelConfig(), plans)
    print_table(results)
    lines = capsys.readouterr().out.splitlines()
    assert sum("failed: the process ended with code 1" in line for line in lines) == len(cases)


def test_a_case_that_fails_later_is_answered(monkeypatch):
    seconds = iter([1.0, 2.0])  # The first one, and to warm up; then none.
    answers = []
    monkeypatch.setattr("sys.stdin", ["case\n", "other\n"])
    serve({"case": lambda: next(seconds), "other": lambda: 3.0}, answers.append)
    ready, failed, other = answers
    assert ready == {"case": {"first_seconds": 1.0}, "other": {"first_seconds": 3.0}}
    assert failed["error"].startswith("StopIteration")
    assert other == 3.0
