"""How training uses the processor: devices, memory pages, and the user's own flags."""

import json
import subprocess
import sys

import pytest

from mmgenre.machine import cpu
from tests.commands import ROOT, environment

DEVICES = "--xla_force_host_platform_device_count"


@pytest.mark.parametrize(
    ("batch_size", "cores", "expected"),
    [
        (256, 1, 1),
        (256, 2, 2),
        (256, 3, 2),  # Evenly.
        (250, 4, 2),
        (256, 64, 8),  # Not fewer than 32 movies each.
        (33, 64, 1),
        (1, 64, 1),
    ],
)
def test_devices_share_a_batch_evenly(batch_size, cores, expected):
    assert cpu.num_devices(batch_size, cores) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, f"{DEVICES}=2 --xla_cpu_multi_thread_eigen=false"),
        ("--xla_dump_to=x", f"{DEVICES}=2 --xla_cpu_multi_thread_eigen=false --xla_dump_to=x"),
        (f"{DEVICES}=3", f"{DEVICES}=3"),
        ("--xla_cpu_multi_thread_eigen=true", f"{DEVICES}=2 --xla_cpu_multi_thread_eigen=true"),
    ],
)
def test_what_the_user_set_wins(monkeypatch, flags, expected):
    monkeypatch.setattr(cpu, "available_cores", lambda: 2)
    # Tuned malloc: this process shall stay as it is.
    environ = {"JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": ""}
    if flags is not None:
        environ["XLA_FLAGS"] = flags
    cpu.use_all_cores(256, environ)
    assert environ["XLA_FLAGS"] == expected


def test_cores_beyond_the_devices_help_them(monkeypatch):
    monkeypatch.setattr(cpu, "available_cores", lambda: 16)
    environ = {"JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": ""}
    cpu.use_all_cores(256, environ)
    assert environ["XLA_FLAGS"] == f"{DEVICES}=8"


_CHILD = """
import json, resource, sys
from mmgenre.machine import cpu
if sys.argv[1] == "tuned":
    cpu.use_all_cores(256)
import jax, numpy as np
def faults_of_one_more():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults_of_one_more()
print(json.dumps([jax.device_count(), faults_of_one_more()]))
"""


def test_a_process_gets_devices_and_keeps_its_memory():
    def run(how: str) -> list[int]:
        env = environment() | {"JAX_PLATFORMS": "cpu"}
        del env["XLA_FLAGS"]
        command = [sys.executable, "-c", _CHILD, how]
        output = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=True
        )
        return json.loads(output.stdout)

    assert run("plain")[0] == 1
    devices, faults = run("tuned")
    assert devices == cpu.num_devices(256, cpu.available_cores())
    if sys.platform == "linux":
        assert faults < 100  # Of 16,384 small pages.
