"""Kills a real run at 50 random moments: what comes out in the end is what would have without."""

import collections
import random
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mmgenre.metric_log import _read_events
from tests.scale_helpers import checkpoint_steps, ended, finish, rows, start_main

NUM_KILLS = 50
EPOCHS = 60
MOMENTS = ("start-up", "step", "saving", "step", "saving", "evaluation")


@pytest.mark.slow
def test_fifty_kills_change_nothing(tiny_dataset, tmp_path):
    settings = [
        f"--config.data.dir={tiny_dataset.path}",
        f"--config.epochs={EPOCHS}",
        "--config.patience=0",
        "--config.checkpoint_every_steps=5",
    ]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    started = time.monotonic()
    run_to_the_end(undisturbed, settings)
    seconds = time.monotonic() - started

    generator = random.Random(0)
    kills = collections.Counter()
    while kills.total() < NUM_KILLS:
        moment = generator.choice(MOMENTS)
        if kill_once(killed, settings, moment, generator, seconds):
            kills[moment] += 1
            print(f"kill {kills.total()}: {moment}, checkpoints {checkpoints(killed)}", flush=True)
    run_to_the_end(killed, settings)
    print(dict(kills))

    assert checkpoint_steps(killed) == checkpoint_steps(undisturbed)
    for step in checkpoint_steps(undisturbed):
        jax.tree.map(np.testing.assert_array_equal, load(undisturbed, step), load(killed, step))
    assert rows(killed) == rows(undisturbed)
    assert scalar_events(killed) == scalar_events(undisturbed)


def run_to_the_end(workdir: Path, settings: list[str]) -> None:
    process = start_main(f"--workdir={workdir}", *settings)
    with ended(process):
        code, output = finish(process, timeout=900)
    assert code == 0, output


def kill_once(workdir, settings, moment, generator, seconds) -> bool:
    """Kills a run at such a moment; False where it ended before."""
    process = start_main(f"--workdir={workdir}", *settings)
    before = checkpoints(workdir)
    deadline = time.monotonic() + seconds + 60
    with ended(process):
        while process.poll() is None and time.monotonic() < deadline:
            if moment == "start-up":
                time.sleep(generator.uniform(0, seconds / 2))
                break
            if moment == "step" and checkpoints(workdir) != before:
                time.sleep(generator.uniform(0, 0.1))
                break
            if moment == "saving" and any((workdir / "checkpoints").glob("*tmp*")):
                time.sleep(generator.uniform(0, 0.05))
                break
            if moment == "evaluation" and trained(workdir):
                time.sleep(generator.uniform(0, seconds / 4))
                break
            time.sleep(0.002)
        killed = process.poll() is None
        process.kill()
        code, output = finish(process)
    # It ended by itself, or was killed: anything else is a failure to resume.
    assert code in (0, -9), output
    return killed


def trained(workdir: Path) -> bool:
    found = rows(workdir)
    return bool(found) and len(checkpoints(workdir)) > 0 and found[-1]["step"] >= last_step(found)


def last_step(found: list[dict]) -> int:
    validated = [row["step"] for row in found if "validation/loss" in row]
    return validated[0] * EPOCHS if validated else 2**31


def checkpoints(workdir: Path) -> list[int]:
    return checkpoint_steps(workdir) if (workdir / "checkpoints").exists() else []


def load(workdir: Path, step: int) -> dict:
    """The state of a checkpoint, as nested dicts of arrays."""
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore((workdir / "checkpoints" / str(step) / "default").absolute())


def scalar_events(workdir: Path) -> list[tuple[int, str]]:
    """The steps and names of all scalars in TensorBoard's files, in order, repeated ones too."""
    return sorted(
        (event.step, value.tag)
        for path in (workdir / "tensorboard").glob("events.*")
        for event in _read_events(path)
        for value in event.summary.value
        if value.tag.startswith(("train/", "validation/"))
    )
