"""A full disk: what is made for people is whole or absent, and a line says why."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import run_module

KILOBYTES = {
    "explanation": 8,
    "predictions": 40,
    "converted predictions": 160,
    "bundle": 100,
    "figures of a report": 300,
    "page of a report": 1400,
}


@pytest.fixture
def disk(request, tmp_path) -> Iterator[Path]:
    """A disk of the size that the test names; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={KILOBYTES[request.param]}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def arguments(name: str, disk: Path, table: Path) -> list[object]:
    return {
        "explanation": ["--overview", "A boy finds a map", "--explain", disk / "why.html"],
        "predictions": ["--csv", table, "--out", disk / "out.csv"],
        "converted predictions": ["--csv", table, "--out", disk / "out.csv"],
        "bundle": ["--out", disk / "bundle"],
        "figures of a report": ["--out", disk / "report.html"],
        "page of a report": ["--out", disk / "report.html"],
    }[name]


MODULES = {
    "explanation": "mmgenre.predict",
    "predictions": "mmgenre.predict",
    "converted predictions": "mmgenre.predict",
    "bundle": "mmgenre.export",
    "figures of a report": "mmgenre.report",
    "page of a report": "mmgenre.report",
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "disk"), [(name, name) for name in MODULES], indirect=["disk"])
def test_what_a_full_disk_leaves(name, disk, tiny_run, tmp_path):
    table = tmp_path / "movies.csv"
    table.write_text("overview\n" + "A boy finds a map of love\n" * 400)
    run = ["--run", tiny_run.path]
    result = run_module(MODULES[name], *run, *arguments(name, disk, table))
    assert result.returncode in (1, 2)
    assert result.stderr.splitlines()[-1].startswith("error: ") and "space" in result.stderr
    assert "Traceback" not in result.stderr
    left = {path.name for path in disk.iterdir()}
    assert left <= {"out.csv.partial"}  # What the next start goes on with.
