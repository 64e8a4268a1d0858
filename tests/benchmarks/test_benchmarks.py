"""The benchmarks measure what they say, on a data set and a model of no size."""

import json

import pytest

from benchmarks.configs import load_config
from benchmarks.training_step import OURS, step_ms, table
from tests.commands import ROOT, run_module

TRIAL = f"{ROOT}/configs/model1.py:trial"


def figures(benchmark, dataset, folder, *options):
    """Runs a benchmark on a data set; returns what it writes."""
    out = folder / "out.json"
    process = run_module(
        f"benchmarks.{benchmark}", f"--data={dataset.path}", *options, f"--json={out}"
    )
    assert process.returncode == 0, process.stderr
    return json.loads(out.read_text())


@pytest.mark.slow
def test_training_step_beside_a_peer(tiny_dataset, tmp_path):
    options = (f"--configs={TRIAL}", "--peers=keras-tf", "--rounds=1", "--steps=1")
    result = figures("training_step", tiny_dataset, tmp_path, *options)["results"][TRIAL]
    assert set(result["steps"]) == {OURS, "keras-tf"}
    assert set(result["steps"]["keras-tf"]) == {"128"}
    assert set(result["batches"]) <= set(result["steps"][OURS])
    # The same architecture.
    assert result["parameters"]["keras-tf"] == result["parameters"][OURS]
    config = load_config(TRIAL)
    movies = tiny_dataset.split("train").num_movies
    assert sum(result["batches"].values()) == movies // config.batch_size


def test_real_lengths_are_weighted_by_their_batches():
    def steps(*wall_ms: float) -> dict:
        return {"wall_ms": list(wall_ms), "cpu_ms": [2 * ms for ms in wall_ms]}

    result = {
        "batch_size": 10,
        "max_tokens": 128,
        "batches": {32: 3, 128: 1},
        "steps": {
            OURS: {"32": steps(10, 30, 20), "128": steps(60, 60, 90)},
            "torch": {"128": steps(120, 180, 90)},
        },
    }
    assert step_ms(result, OURS, forced=False) == (30, (3 * 10 + 60) / 4)
    assert step_ms(result, OURS, forced=True) == (60, 60)
    assert step_ms(result, "torch", forced=True) == (120, 90)
    last = table("config", result).splitlines()[-1].split()
    assert last[0] == "torch"
    assert last[-2:] == ["4.00", "2.00"]


@pytest.mark.slow
def test_input_modes(tiny_dataset, tmp_path):
    result = figures(
        "input_modes", tiny_dataset, tmp_path, f"--config={TRIAL}", "--rounds=1", "--max_steps=2"
    )
    assert set(result["seconds_per_step"]) == {"in memory", "stream", "host"}
    assert set(result["alone_seconds_per_batch"]) == {"stream", "host"}
    poster = 64 * 64 * 3
    for count in result["bytes_per_movie"].values():
        assert poster < count < 1.3 * poster


@pytest.mark.slow
def test_evaluation_beside_training(tiny_dataset, tmp_path):
    result = figures("evaluation", tiny_dataset, tmp_path, f"--config={TRIAL}", "--rounds=2")
    rates = result["movies_per_second"]
    assert set(rates) == {"training", "evaluation", "evaluation, three views"}
    assert all(len(values) == 2 and min(values) > 0 for values in rates.values())


@pytest.mark.slow
def test_memory_of_a_training(tiny_dataset, tmp_path):
    result = figures("memory", tiny_dataset, tmp_path, f"--config={TRIAL}", "--epochs=2")
    assert "start" in result["peak_mib"]
    for peak in result["peak_mib"].values():
        assert peak["resident"] > 100 and peak["huge pages"] <= peak["resident"]
