"""Checkpoints by the clock, and the share of the time that is not spent in steps."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from mmgenre.machine import signals
from mmgenre.runs.checkpoints import RunCheckpoints
from mmgenre.runs.directory import RunDirectory
from mmgenre.training import save_times
from mmgenre.training.save_times import SAVE_DUE, EpochClock, SaveTimes
from mmgenre.training.trainer import Trainer
from tests.scale_helpers import checkpoint_steps, rows


@pytest.fixture
def clock(monkeypatch):
    """The seconds that both clocks show."""
    now = [0.0]
    monkeypatch.setattr(save_times.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(save_times.time, "perf_counter", lambda: now[0])
    return now


def test_a_vote_by_the_clock(clock, tiny_config):
    config = dataclasses.replace(tiny_config, checkpoint_every_seconds=60.0)
    never, times = SaveTimes(tiny_config), SaveTimes(config)
    votes = []
    for clock[0] in (59.0, 60.0, 61.0, 120.0, 121.0):
        votes.append(times.vote())
        assert never.vote() == 0
        if clock[0] == 61.0:
            times.saved()
    assert votes == [0, SAVE_DUE, SAVE_DUE, 0, SAVE_DUE]
    assert all(signum < SAVE_DUE for signum in signals.SIGNALS)


def test_the_share_outside_steps(clock):
    epochs = EpochClock()
    for seconds, compiling in ((1.0, 0.0), (3.0, 2.0)):
        with epochs.steps(num_movies=30):
            clock[0] += seconds
            epochs.leave_out(compiling)
        assert epochs.rate == pytest.approx(30 / (seconds - compiling))
        clock[0] += 1.0
        assert epochs.end_epoch() == {
            "epoch/seconds": seconds + 1,
            "epoch/outside_steps_share": pytest.approx(1 / (seconds + 1)),
        }
    assert epochs.outside_share == pytest.approx(2 / 6)


@pytest.fixture
def train(tiny_config, tiny_dataset, tmp_path, monkeypatch):
    """Trains three epochs; returns the steps that were saved, the final state and the rows."""
    original = RunCheckpoints.save

    def run(name: str, every: float):
        saved = []

        def save(self, step, *args, **kwargs):
            saved.append(step)
            original(self, step, *args, **kwargs)

        monkeypatch.setattr(RunCheckpoints, "save", save)
        config = dataclasses.replace(
            tiny_config, epochs=3, patience=0, checkpoint_every_seconds=every, seed=5
        )
        directory = RunDirectory.start(tmp_path / name, config, tiny_dataset)
        trainer = Trainer(config, tiny_dataset, directory)
        trainer.train()
        like = trainer._programs.learner.state_shapes.as_dict()
        with RunCheckpoints(directory.checkpoints, read_only=True) as checkpoints:
            step = checkpoints.latest_step()
            assert step == 3 * trainer.steps_per_epoch
            state = checkpoints.restore(step, like).state
        shares = [
            row["epoch/outside_steps_share"]
            for row in map(json.loads, directory.metrics_file.read_text().splitlines())
            if "validation/loss" in row
        ]
        assert len(shares) == 3 and all(0 < share < 1 for share in shares)
        return saved, state, rows(tmp_path / name), trainer.steps_per_epoch

    return run


@pytest.mark.slow
def test_when_it_saves_changes_nothing_else(train, tmp_path):
    always, expected, expected_rows, steps = train("always", 0.0)
    assert always == [steps, 2 * steps, 3 * steps]
    seldom, state, kept, _ = train("seldom", 1e6)
    scores = [row["validation/average_precision/macro"] for row in kept if len(row) > 8]
    best = [max(scores[: i + 1]) == score for i, score in enumerate(scores)]
    # The best ones, and the last.
    assert seldom == [
        s for s, is_best in zip(always, best, strict=True) if is_best or s == 3 * steps
    ]
    assert kept == expected_rows
    often, other_state, kept, _ = train("often", 1e-9)
    assert kept == expected_rows
    assert len(often) > 6 and any(step % steps for step in often)
    assert len(checkpoint_steps(tmp_path / "often")) <= 3
    for a, b, c in zip(*map(jax.tree.leaves, (expected, state, other_state)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
