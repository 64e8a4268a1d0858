"""Runs the real commands, as a user does."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache"
"""Where tests keep what they compile; the user's cache stays as it is."""

QUICK_COMPILATION = "--xla_backend_optimization_level=0"
"""For XLA: a tiny model's program compiles in half the time when LLVM does not optimize it."""


GPUS = tuple(name for name in os.environ.get("MMGENRE_TEST_GPUS", "").split(",") if name)
"""The GPUs, named as in CUDA_VISIBLE_DEVICES, on which tests/distributed/test_layouts.py trains in
place of simulated devices. All other tests run on the CPU."""


def xla_flags(num_devices: int, *, optimized: bool = False) -> str:
    """The flags for so many simulated devices, compiled quickly or as users do."""
    flags = f"--xla_force_host_platform_device_count={num_devices}"
    return flags if optimized else f"{QUICK_COMPILATION} {flags}"


def run_module(
    module: str,
    *arguments: object,
    num_devices: int = 1,
    cwd: Path = ROOT,
    timeout: float = 300,
    prefix: Sequence[str] = (),
    optimized: bool = False,
) -> subprocess.CompletedProcess:
    """Runs `python -m module arguments` to its end and returns its output as text.

    Args:
      module: such as "mmgenre.main".
      *arguments: of the command.
      num_devices: simulated CPU devices.
      cwd: the folder to run in; this checkout stays importable.
      timeout: seconds until it is killed.
      prefix: Python code options, such as ("-X", "importtime").
      optimized: whether it compiles as users do; see `QUICK_COMPILATION`.
    """
    process = subprocess.run(
        [sys.executable, *prefix, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=environment(num_devices, optimized=optimized),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "ResourceWarning" not in process.stderr, process.stderr
    return process


_RUN_SEVERAL = """
import contextlib, io, json, runpy, sys
results, module = [], sys.argv[1]
for arguments in json.loads(sys.stdin.read()):
    sys.argv = [module, *arguments]
    out, err, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(results))
"""


def run_several(
    module: str, commands: Sequence[Sequence[object]], *, timeout: float = 300
) -> list[tuple[int, str, str]]:
    """Runs `python -m module arguments` for each of `commands`, one after the other.

    In one process, which pays for its imports once: what a command does is the same.

    Returns:
      The exit code, the output and the errors of each.
    """
    process = subprocess.run(
        [sys.executable, "-c", _RUN_SEVERAL, module],
        input=json.dumps([[str(argument) for argument in command] for command in commands]),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert process.returncode == 0 and "ResourceWarning" not in process.stderr, process.stderr
    return [tuple(result) for result in json.loads(process.stdout.splitlines()[-1])]


def environment(num_devices: int = 1, *, optimized: bool = False) -> dict[str, str]:
    """The environment of a command with so many simulated devices."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": xla_flags(num_devices, optimized=optimized),
        "XDG_CACHE_HOME": str(CACHE),
        # What is left to the garbage collector is said on standard error.
        "PYTHONWARNINGS": "error::ResourceWarning",
    }
