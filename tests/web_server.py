"""The page of a run, served on loopback by the real command."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.commands import ROOT, environment


@contextlib.contextmanager
def served(run: Path, temporary: Path, *options: str) -> Iterator[str]:
    """Serves the page; yields its address.

    Args:
      run: its run.
      temporary: the folder that it takes for temporary files.
      *options: more options.
    """
    command = [sys.executable, "-m", "mmgenre.demo", "--run", str(run), "--port", "0", *options]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment() | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        finally:
            process.terminate()
