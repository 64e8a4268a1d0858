"""The benchmark for GPUs runs to its end on this machine, in little."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu_cases import name_of, our_cases, torch_cases
from benchmarks.gpu_data import make_movies
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
    assert len(rows) == 5
    assert {row["mode"] for row in rows} == {"resident", "host"}
    assert {row["dtype"] for row in rows} == {"float32", "bfloat16"}


def test_cases_have_names_of_their_own():
    cases = [*our_cases("scan", [256, 1024]), *our_cases("pallas", [256, 1024])]
    cases += torch_cases([256, 1024])
    assert len({name_of(case) for case in cases}) == len(cases)


def test_lengths_are_those_of_real_overviews():
    movies = make_movies(2000, vocabulary_size=50, max_tokens=128)
    assert abs(movies["num_tokens"].clip(max=128).mean() - 58.5) < 2  # As of 8,913 real ones.
    assert ((movies["tokens"] > 0).sum(axis=1) == movies["num_tokens"].clip(max=128)).all()
