"""The preparation command as tests run it, and what it leaves."""

import subprocess
import sys

from tests.commands import ROOT, environment


def command(raw_movies, out, *options) -> list[str]:
    """Prepares (metadata, posters) into `out`."""
    return [
        *(sys.executable, "-m", "data_prep.prepare", "--metadata", str(raw_movies[0])),
        *("--posters", str(raw_movies[1]), "--out", str(out), "--name", "x", *options),
    ]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that is."""
    process = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert "ResourceWarning" not in process.stderr, process.stderr
    return process
