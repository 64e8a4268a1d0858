"""Runs a real command with a bound on its time and its memory."""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.commands import ROOT, environment


def run_bounded(
    module: str,
    *arguments: object,
    seconds: float = 60,
    gigabytes: float = 4,
    cwd: Path = ROOT,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module arguments`; more time or more memory than given is an error.

    Args:
      module: such as "data_prep.verify".
      *arguments: of the command.
      seconds: until `subprocess.TimeoutExpired` is raised.
      gigabytes: of address space; what asks for more fails there, as where memory is short.
      cwd: the folder to run in.
      prefix: Python's own options.
    """
    limit = int(gigabytes * (1 << 30))
    return subprocess.run(
        [sys.executable, *prefix, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
