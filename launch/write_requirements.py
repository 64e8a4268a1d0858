"""Writes `launch/requirements-cpu.txt`: what the CPU install needs, each file by its hash.

    python launch/write_requirements.py

Run it with Python 3.11 on Linux x86-64, after `constraints.txt` has changed: the files are those
that pip chooses there. It installs nothing.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = ROOT / "launch" / "requirements-cpu.txt"
EXTRAS: Final = "demo,parquet,serve"
BUILD: Final = "setuptools>=77"
"""What `pip install --no-build-isolation .` needs, as in `pyproject.toml`."""

HEAD: Final = f"""\
# The CPU install with the extras {EXTRAS}, for Python 3.11 on Linux x86-64: the versions of
# constraints.txt, each file by its hash. Made by `python launch/write_requirements.py`.
# How to use it: SECURITY.md.
"""


def resolve() -> list[dict[str, Any]]:
    """Returns pip's report of the files that it would install."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"),
            *("--ignore-installed", "--report", str(report)),
            *("-c", str(ROOT / "constraints.txt"), f"{ROOT}[{EXTRAS}]", BUILD),
        ]
        subprocess.run(command, check=True)
        return json.loads(report.read_text("utf-8"))["install"]


def lines(files: list[dict[str, Any]]) -> list[str]:
    """Returns a requirement a line, by name, of all but this project."""
    found = {}
    for file in files:
        metadata, source = file["metadata"], file["download_info"]
        if "archive_info" in source:
            sha256 = source["archive_info"]["hashes"]["sha256"]
            name = metadata["name"].lower().replace("_", "-")
            found[name] = f"{name}=={metadata['version']} --hash=sha256:{sha256}\n"
    return [found[name] for name in sorted(found)]


def main() -> None:
    """The command."""
    if sys.version_info[:2] != (3, 11) or sys.platform != "linux":
        sys.exit("error: run it with Python 3.11 on Linux x86-64, which the file is for")
    OUT.write_text(HEAD + "".join(lines(resolve())), "utf-8")


if __name__ == "__main__":
    main()
