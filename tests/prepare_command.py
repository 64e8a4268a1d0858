"""The preparation command as tests run it, and what it leaves."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def command(raw_movies, out, *options) -> list[str]:
    """Prepares (metadata, posters) into `out`."""
    return [
        *(sys.executable, "-m", "data_prep.prepare", "--metadata", str(raw_movies[0])),
        *("--posters", str(raw_movies[1]), "--out", str(out), "--name", "x", *options),
    ]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that is."""
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
