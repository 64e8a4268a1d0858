"""The README: not too long, and every command in it works, in order, in a fresh folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import movie_files
from tests.commands import ROOT, environment

README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]


def test_the_readme_is_short_and_names_files_that_exist():
    assert len(README.splitlines()) <= 120
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:configs|docs|launch|mmgenre)/[\w./-]+\.\w+)`", README):
        assert (ROOT / path).exists(), path


def test_make_has_the_targets():
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_every_command_works_in_order(tmp_path):
    """As they stand there, but for the folder of the configs, and for `make`, which is CI's."""
    metadata, _ = movie_files.make(tmp_path, 600, range(1, 200))
    assert metadata == tmp_path / "movies_metadata.csv" and (tmp_path / "posters").is_dir()
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for line in COMMANDS:
        if line.startswith("make "):
            continue
        words = shlex.split(line, comments=True)
        assert words[0] == "mmgenre", line
        process = subprocess.run(
            [Path(sys.executable).with_name("mmgenre"), *words[1:]],
            cwd=tmp_path,
            env=environment(2) | {"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, f"{line}\n{process.stderr[-3000:]}"
    for made in ("predictions.csv", "why.html", "bundle/bundle.json", "runs/movies/report.html"):
        assert Path(tmp_path / made).stat().st_size > 1_000, made
