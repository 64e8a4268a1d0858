"""Kills a real run at 50 random moments: what comes out in the end is what would have without.

MMGENRE_NUM_KILLS and MMGENRE_KILL_SEED divide the campaign into shorter ones at other moments.
"""

import collections
import itertools
import json
import os
import random
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mmgenre.training.metric_writers import read_events
from tests.scale_helpers import checkpoint_steps, ended, finish, rows, start_main

NUM_KILLS = int(os.environ.get("MMGENRE_NUM_KILLS", "50"))
SEED = int(os.environ.get("MMGENRE_KILL_SEED", "0"))
EPOCHS = 8
TRAINING = ("start-up", "step", "saving")
KILLS_IN_TRAINING = 9
AFTERWARDS = ("evaluation", "start-up", "evaluation")


@pytest.mark.slow
def test_fifty_kills_change_nothing(tiny_dataset, tmp_path):
    settings = [
        f"--config.data.dir={tiny_dataset.path}",
        f"--config.epochs={EPOCHS}",
        "--config.patience=0",
        "--config.checkpoint_every_steps=5",
    ]
    undisturbed = tmp_path / "undisturbed"
    start_up, after_training = run_to_the_end(undisturbed, settings)
    limits = {"start-up": start_up, "step": 0.2, "saving": 0.05, "evaluation": after_training}

    generator = random.Random(SEED)
    kills = collections.Counter()
    for number in itertools.count():
        workdir = tmp_path / f"killed{number}"
        moments = (*generator.choices(TRAINING, k=KILLS_IN_TRAINING), *AFTERWARDS)
        for moment in moments[: NUM_KILLS - kills.total()]:
            wait = generator.uniform(0, limits[moment])
            if kill_once(workdir, settings, moment, wait):
                kills[moment] += 1
                print(f"kill {kills.total()}: {moment}, saved {checkpoints(workdir)}", flush=True)
        run_to_the_end(workdir, settings)
        assert_same(workdir, undisturbed)
        print(f"run {number} ended as the undisturbed one; kills so far: {dict(kills)}", flush=True)
        if kills.total() >= NUM_KILLS:
            break


def assert_same(killed: Path, undisturbed: Path) -> None:
    assert checkpoint_steps(killed) == checkpoint_steps(undisturbed)
    for step in checkpoint_steps(undisturbed):
        jax.tree.map(np.testing.assert_array_equal, load(undisturbed, step), load(killed, step))
    assert rows(killed) == rows(undisturbed)
    assert scalar_events(killed) == scalar_events(undisturbed)
    assert evaluation(killed) == evaluation(undisturbed)


def run_to_the_end(workdir: Path, settings: list[str]) -> tuple[float, float]:
    """Returns the seconds until the first step, and those after the last."""
    process = start_main(f"--workdir={workdir}", *settings)
    started = first_step = trained = time.monotonic()
    with ended(process):
        while process.poll() is None and not is_trained(workdir):
            if not rows(workdir):
                first_step = time.monotonic()
            trained = time.monotonic()
            time.sleep(0.02)
        code, output = finish(process, timeout=900)
    assert code == 0, output
    return first_step - started, time.monotonic() - trained


def kill_once(workdir: Path, settings: list[str], moment: str, wait: float) -> bool:
    """Kills a run `wait` seconds after a moment; False where it ended before."""
    process = start_main(f"--workdir={workdir}", *settings)
    before = checkpoints(workdir)
    with ended(process):
        while process.poll() is None:
            if (
                moment == "start-up"
                or (moment == "step" and checkpoints(workdir) != before)
                or (moment == "saving" and any((workdir / "checkpoints").glob("*tmp*")))
                or is_trained(workdir)
            ):
                time.sleep(wait)
                break
            time.sleep(0.002)
        killed = process.poll() is None
        process.kill()
        code, output = finish(process)
    # It ended by itself, or was killed: anything else is a failure to resume.
    assert code in (0, -9), output
    return killed


def is_trained(workdir: Path) -> bool:
    validated = [row["step"] for row in rows(workdir) if "validation/loss" in row]
    return len(validated) == EPOCHS and validated[-1] in checkpoints(workdir)


def checkpoints(workdir: Path) -> list[int]:
    return checkpoint_steps(workdir) if (workdir / "checkpoints").exists() else []


def evaluation(workdir: Path) -> dict:
    """What the run printed and wrote in the end, its name apart."""
    return {**json.loads((workdir / "evaluation-test.json").read_text()), "run": ""}


def load(workdir: Path, step: int) -> dict:
    """The state of a checkpoint, as nested dicts of arrays."""
    with ocp.StandardCheckpointer() as checkpointer:
        folder = (workdir / "checkpoints" / str(step)).absolute()
        return {item: checkpointer.restore(folder / item) for item in ("params", "training")}


def scalar_events(workdir: Path) -> list[tuple[int, str]]:
    """The steps and names of all scalars in TensorBoard's files, in order, repeated ones too."""
    return sorted(
        (event.step, value.tag)
        for path in (workdir / "tensorboard").glob("events.*")
        for event in read_events(path)
        for value in event.summary.value
        if value.tag.startswith(("train/", "validation/"))
    )
