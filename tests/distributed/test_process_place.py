"""Processes of the real command that find each other by themselves.

Under Slurm: tests/distributed/test_slurm.py. What is detected from which variables:
tests/distributed/test_processes.py.
"""

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.commands import ROOT, environment
from tests.scale_helpers import TINY, ended, finish, free_port, rows, start_main

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    return [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}", "--config.epochs=1"]


def assert_trained_together(output: str, settings: list[str]) -> None:
    assert "process 0 of 2, with 1 of 2 devices" in output
    assert output.count("results:") == 1, "one process prints"
    workdir = settings[1].partition("=")[2]
    assert any("validation/loss" in row for row in rows(workdir))


@pytest.mark.skipif(not shutil.which("mpirun"), reason="needs Open MPI, Debian's openmpi-bin")
def test_open_mpi(settings):
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    process = subprocess.run(
        [
            *("mpirun", *as_root, "--oversubscribe", "--bind-to", "none", "-n", "2"),
            *(sys.executable, "-m", "mmgenre.main", *TINY, *settings),
        ],
        cwd=ROOT,
        env=environment(1),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    output = process.stdout + process.stderr
    assert process.returncode == 0, output
    assert_trained_together(output, settings)


def test_pods_of_the_launch_file(settings):
    """With the variables that launch/kubernetes.yaml and Kubernetes set, the host's name apart."""
    *_, job = yaml.safe_load_all((ROOT / "launch" / "kubernetes.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    variables["JAX_COORDINATOR_ADDRESS"] = f"localhost:{free_port()}"
    variables["KUBERNETES_SERVICE_HOST"] = "192.0.2.1"  # Nobody answers there, and nobody asks.
    pods = [
        start_main(*settings, env={**variables, "JOB_COMPLETION_INDEX": str(index)})
        for index in range(job["spec"]["completions"])
    ]
    with ended(*pods):
        results = [finish(pod, timeout=600) for pod in pods]
    output = "".join(output for _, output in results)
    assert [code for code, _ in results] == [0, 0], output
    assert_trained_together(output, settings)
