"""Starts training in other processes, and reads what it left."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from etils import epath

from mmgenre.config import Config
from mmgenre.runs.metric_rows import read_rows
from tests.commands import ROOT, environment

TINY = (
    "--config=configs/model1.py:trial",
    "--config.data.max_tokens=16",
    "--config.data.bucket_lengths=(16,)",
    "--config.batch_size=8",
    "--config.model.vocabulary_size=2000",
    "--config.model.embedding_size=4",
    "--config.model.cnn_filters=(2,2)",
    "--config.model.poster_features=4",
    "--config.model.lstm_units=(4,)",
    "--config.model.overview_features=4",
    "--config.model.head_units=(4,)",
    "--config.log_every_steps=3",
)
"""Flags of the smallest model that still has every part."""

TIMINGS = {
    "train/movies_per_second",
    "train/input_wait_share",
    "validation/seconds",
    "epoch/seconds",
    "epoch/outside_steps_share",
}
"""What of a row of metrics differs from run to run."""


def start_main(*arguments: object, num_devices: int = 1, **kwargs) -> subprocess.Popen:
    """Starts `python -m mmgenre.main` with its output, as text, in `stdout` and `stderr`."""
    return start("mmgenre.main", *TINY, *arguments, num_devices=num_devices, **kwargs)


def start(module: str, *arguments: object, num_devices: int = 1, **kwargs) -> subprocess.Popen:
    """Starts `python -m module arguments`."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**environment(num_devices), **kwargs.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def finish(process: subprocess.Popen, timeout: float = 300) -> tuple[int, str]:
    """Waits for a process; returns its exit code and all that it wrote."""
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        output, errors = process.communicate()
        raise AssertionError(f"still running after {timeout} s:\n{output}\n{errors}") from None
    return process.returncode, output + errors


def train_layout(
    config: Config,
    jobs: Sequence[dict],
    *,
    num_processes: int = 1,
    num_devices: int = 1,
    gpus: Sequence[str] = (),
) -> list[subprocess.Popen]:
    """Starts `tests.train_only` on a layout: so many processes, with so many devices each.

    The devices are simulated, unless there are GPUs for them.
    """
    fields = {"config": config.to_json(), "jobs": list(jobs)}
    if num_processes > 1:
        fields |= {"coordinator": f"localhost:{free_port()}", "num_processes": num_processes}
    return [
        start(
            "tests.train_only",
            json.dumps({**fields, "process_id": i} if num_processes > 1 else fields),
            num_devices=num_devices,
            env=_on_gpus(gpus[i * num_devices : (i + 1) * num_devices]) if gpus else {},
        )
        for i in range(num_processes)
    ]


def _on_gpus(names: Sequence[str]) -> dict[str, str]:
    """The environment of a process with these GPUs, of which others use the memory, too."""
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(names),
        "JAX_PLATFORMS": "cuda",  # Without it, the training fails, and is not on the CPU unnoticed.
        "XLA_FLAGS": "",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as server:
        server.bind(("", 0))
        return server.getsockname()[1]


@contextlib.contextmanager
def ended(*processes: subprocess.Popen) -> Iterator[None]:
    """Sees to it that no process outlives a failed test."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.__exit__(None, None, None)  # Closes its pipes and waits.


def wait_for_step(workdir: Path, step: int, process: subprocess.Popen) -> None:
    """Waits until a run has written the metrics of a step."""
    while not any(row["step"] >= step for row in rows(workdir)):
        assert process.poll() is None, finish(process)
        time.sleep(0.02)


def wait_for_handlers(process: subprocess.Popen) -> None:
    """Waits until a process catches SIGTERM, which Python by itself does not."""
    while True:
        assert process.poll() is None, finish(process)
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        if caught & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.02)


def rows(workdir: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics, without timings."""
    path = epath.Path(workdir) / "metrics.jsonl"
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in read_rows(path)]


def losses(workdir: Path) -> np.ndarray:
    """The training losses of a run, a row a step."""
    return np.array([row["train/loss"] for row in rows(workdir) if "train/loss" in row])


def checkpoint_steps(workdir: Path) -> list[int]:
    """The steps of a run's checkpoints, in order."""
    folder = Path(workdir) / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def copy_without_newest(source: Path, target: Path) -> Path:
    """Copies a run as it was before its newest checkpoint."""
    shutil.copytree(source, target)
    shutil.rmtree(target / "checkpoints" / str(checkpoint_steps(target)[-1]))
    return target


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0
