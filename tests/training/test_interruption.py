"""SIGTERM and SIGINT to the real command: what is saved, what is said, how it ends."""

import dataclasses
import signal

import pytest

from mmgenre.config import Config
from tests.scale_helpers import (
    checkpoint_steps,
    ended,
    finish,
    rows,
    start_main,
    train_layout,
    wait_for_handlers,
    wait_for_step,
)


@pytest.fixture
def settings(tiny_dataset, tmp_path):
    return [
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.dir={tiny_dataset.path}",
        "--config.epochs=1000",
        "--config.patience=0",
    ]


def test_signals_save_and_lose_nothing(settings, tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    process = start_main(*settings)
    with ended(process):
        wait_for_step(workdir, 6, process)
        process.send_signal(signal.SIGTERM)
        code, output = finish(process)
    assert code == 143, output
    saved = checkpoint_steps(workdir)[-1]
    assert f"SIGTERM: saved after step {saved}; go on with: python -m mmgenre.main" in output
    assert f"--workdir={workdir}" in output

    process = start_main(*settings)
    with ended(process):
        wait_for_step(workdir, saved + 10, process)
        process.send_signal(signal.SIGINT)
        code, output = finish(process)
    assert code == 130, output
    assert f"resuming from the checkpoint of step {saved}" in output
    assert "SIGINT: saved after step" in output
    assert checkpoint_steps(workdir)[-1] > saved

    # Undisturbed, the same rows come out, also those that the interruptions fell into.
    interrupted = rows(workdir)
    undisturbed = Config.from_json((workdir / "config.json").read_text())
    epochs = -(-interrupted[-1]["step"] // (tiny_dataset.split("train").num_movies // 8))
    (process,) = train_layout(
        dataclasses.replace(undisturbed, epochs=epochs),
        [{"workdir": str(tmp_path / "undisturbed"), "epochs": epochs, "dropout": 0.3}],
    )
    with ended(process):
        code, output = finish(process)
    assert code == 0, output
    assert rows(tmp_path / "undisturbed")[: len(interrupted)] == interrupted


def test_a_second_signal_ends_at_once(settings, tmp_path):
    workdir = tmp_path / "run"
    process = start_main(*settings)
    with ended(process):
        wait_for_step(workdir, 30, process)  # So that there is a checkpoint to keep whole.
        # Stopped, it cannot answer the first before the second is there.
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        code, output = finish(process, timeout=60)
    assert code in (130, 143), output
    assert "the second signal, stopped at once" in output or "saved after step" in output
    last_step = rows(workdir)[-1]["step"]
    process = start_main(*settings)
    with ended(process):
        wait_for_step(workdir, last_step + 3, process)
        process.kill()
        _, output = finish(process)
    assert "damaged" not in output
    assert "resuming from the checkpoint of step" in output


def test_a_signal_before_training_ends_at_once(settings):
    process = start_main(*settings)
    with ended(process):
        wait_for_handlers(process)
        process.send_signal(signal.SIGINT)
        code, output = finish(process, timeout=60)
    assert code == 130, output
    (line,) = output.splitlines()
    assert line.startswith("SIGINT: stopped")
    assert "; go on with: python -m mmgenre.main" in line
