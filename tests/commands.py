"""Runs the real commands, as a user does."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run_module(
    module: str,
    *arguments: object,
    num_devices: int = 1,
    cwd: Path = ROOT,
    timeout: float = 300,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess:
    """Runs `python -m module arguments` to its end and returns its output as text.

    Args:
      module: such as "mmgenre.main".
      *arguments: of the command.
      num_devices: simulated CPU devices.
      cwd: the folder to run in; this checkout stays importable.
      timeout: seconds until it is killed.
      prefix: Python code options, such as ("-X", "importtime").
    """
    return subprocess.run(
        [sys.executable, *prefix, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=environment(num_devices),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def environment(num_devices: int = 1) -> dict[str, str]:
    """The environment of a command with so many simulated devices."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
    }
