"""launch/slurm.sbatch on a real Slurm of one node; needs root, slurm-wlm and munge."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import ROOT, environment
from tests.scale_helpers import TINY, checkpoint_steps, rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("slurmctld") or not shutil.which("munged"),
        reason="needs root, and Debian's slurm-wlm and munge",
    ),
]


@pytest.fixture
def slurm(tmp_path):
    """The environment that Slurm's commands need."""
    folder = tmp_path / "slurm"
    subprocess.run([ROOT / "tests" / "slurm_setup.sh", folder], check=True)
    yield {**environment(1), "SLURM_CONF": str(folder / "slurm.conf"), "PYTHON": sys.executable}
    for pid in (folder / "pids").read_text().split():
        os.kill(int(pid), signal.SIGTERM)


def test_preempted_jobs_resume_and_finish(slurm, tiny_dataset, tmp_path):
    workdir, output = tmp_path / "run", tmp_path / "out.txt"

    def submit(epochs: int) -> str:
        arguments = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
        return command(
            slurm,
            *("sbatch", "--parsable", "--nodes=1", "--ntasks-per-node=2", "--gpus-per-node=0"),
            *("--cpus-per-task=1", f"--output={output}", ROOT / "launch" / "slurm.sbatch"),
            *(*TINY, *arguments, f"--config.epochs={epochs}", "--config.patience=0"),
        )

    def stop_and_wait_for_restart(text: str, *stop: str) -> int:
        """Stops the job once it has trained on; returns the step that it saved."""
        step = max((row["step"] for row in rows(workdir)), default=0)
        wait_until(lambda: any(row["step"] > step + 6 for row in rows(workdir)), output)
        command(slurm, *stop)
        wait_until(lambda: text in output.read_text(), output)
        saved = checkpoint_steps(workdir)[-1]
        resumed = f"resuming from the checkpoint of step {saved}"
        wait_until(lambda: resumed in output.read_text(), output)
        return saved

    job = submit(epochs=100_000)
    first = stop_and_wait_for_restart("start 1,", "scontrol", "requeue", job)
    # What Slurm does 120 seconds before the end of the job's time:
    second = stop_and_wait_for_restart("start 2,", "scancel", "--signal=USR1", "--batch", job)
    assert second > first
    command(slurm, "scancel", job)
    wait_until(lambda: job not in command(slurm, "squeue", "--noheader", "--format=%i"), output)

    saved = checkpoint_steps(workdir)[-1]
    job = submit(epochs=saved // (tiny_dataset.split("train").num_movies // 8) + 2)
    wait_until(lambda: "results:" in output.read_text(), output)
    assert output.read_text().count("results:") == 1
    steps = [row["step"] for row in rows(workdir) if "train/loss" in row]
    assert steps == sorted(set(steps))


def test_a_task_has_the_cores_that_the_script_asks_for(slurm, tmp_path):
    """Since Slurm 22.05 srun does not inherit --cpus-per-task, but by a variable of its own.

    What it binds to is not seen here, where no plugin binds.
    """
    output, program = tmp_path / "out.txt", tmp_path / "python"
    program.write_text('#!/bin/sh\necho "task $SLURM_PROCID: $SRUN_CPUS_PER_TASK"\n')
    program.chmod(0o755)
    command(
        {**slurm, "PYTHON": str(program)},
        *("sbatch", "--wait", "--nodes=1", "--ntasks-per-node=2", "--gpus-per-node=0"),
        *("--cpus-per-task=2", f"--output={output}", ROOT / "launch" / "slurm.sbatch"),
    )
    assert {"task 0: 2", "task 1: 2"} <= set(output.read_text().splitlines())


def command(env: dict[str, str], *arguments: object) -> str:
    process = subprocess.run(
        list(map(str, arguments)), env=env, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def wait_until(condition, output: Path, timeout: float = 600) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        text = output.read_text() if output.exists() else ""
        assert time.monotonic() < deadline, text
        time.sleep(0.5)
