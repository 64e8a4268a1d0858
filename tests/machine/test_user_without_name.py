"""Every command under a user id that has no name, as containers give one."""

import functools
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmgenre.dataset.prepared import PreparedDataset
from tests.commands import ROOT, environment

USER = 12345
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
PACKAGES = sysconfig.get_paths()["purelib"]


@pytest.fixture
def home(demo_corpus: Path) -> Iterator[Path]:
    """A folder of that user's with a copy of the demo corpus; pytest's own is root's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(demo_corpus, folder / "corpus")
        give(folder)
        yield folder


def give(folder: Path) -> None:
    """Makes a folder and all in it that user's."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)
        path.chmod(stat.S_IRWXU if path.is_dir() else stat.S_IRUSR | stat.S_IWUSR)


@pytest.fixture
def python() -> str:
    """An interpreter that the user may start, and with that its own processes."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may become another user, with setpriv")
    start_another = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for name in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if (
            shutil.which(name)
            and not subprocess.run([*AS_USER, name, "-c", start_another]).returncode
        ):
            return name
    pytest.skip("this Python is in a folder of root's")


def run_as_user(python: str, home: Path, module: str, *arguments: object) -> str:
    """Runs a command in `home`; returns what it printed."""
    process = subprocess.run(
        [*AS_USER, python, "-m", module, *map(str, arguments)],
        cwd=home,
        env={
            **environment(),
            "HOME": "/",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{PACKAGES}",
            "XDG_CACHE_HOME": str(home / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def test_preparation_without_a_name(python: str, home: Path):
    run = functools.partial(run_as_user, python, home)
    corpus = ("--metadata", "corpus/movies_metadata.csv", "--posters", "corpus/posters")
    run("data_prep.prepare", *corpus, "--out", "movies")
    assert "movies: all well" in run("data_prep.verify", "movies")


@pytest.mark.slow
def test_training_without_a_name(python: str, home: Path, tiny_dataset: PreparedDataset):
    run = functools.partial(run_as_user, python, home)
    give(shutil.copytree(tiny_dataset.path, home / "movies"))
    trial = (f"--config={ROOT / 'configs' / 'model1.py'}:trial", "--config.data.dir=movies")
    run("mmgenre.main", *trial, "--workdir=run")
    output = run("mmgenre.main", *trial, "--workdir=run", "--config.epochs=2")
    assert "resuming from the checkpoint of step" in output
    run("mmgenre.evaluate", "--run", "run", "--data", "movies", "--split", "test")
    assert "Drama" in run("mmgenre.predict", "--run", "run", "--overview", "A boy finds a map")
