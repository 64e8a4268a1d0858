"""Preparation killed anywhere and run again ends in the data set of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from data_prep.prepare import PrepareConfig, prepare
from mmgenre.dataset import prepared
from mmgenre.errors import UserError
from tests import movie_files
from tests.commands import ROOT
from tests.prepare_command import command, run


def _snapshot(out):
    names = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    return {name: (out / name).read_bytes() for name in sorted(names)}


def _kill_and_resume(tmp_path, num_movies, num_kills, seed):
    """Kills the command at random moments, each time later than the last, then lets it end."""
    raw_movies = movie_files.make(tmp_path, num_movies)
    options = ("--progress", "none", "--num-shards", "4", "--processes", "2")
    start = time.monotonic()
    assert run(command(raw_movies, tmp_path / "whole", *options)).returncode == 0
    seconds = time.monotonic() - start
    rng = random.Random(seed)
    for _ in range(num_kills):
        process = subprocess.Popen(
            command(raw_movies, tmp_path / "killed", *options),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.2, 1.0) * seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = run(command(raw_movies, tmp_path / "killed", *options))
    assert done.returncode == 0, done.stderr
    assert _snapshot(tmp_path / "killed") == _snapshot(tmp_path / "whole")
    leftovers = list((tmp_path / "killed").rglob("*.tmp"))
    assert not leftovers


def test_killed_and_run_again(tmp_path):
    _kill_and_resume(tmp_path, 700, 2, seed=0)


@pytest.mark.slow
def test_killed_many_times(tmp_path):
    _kill_and_resume(tmp_path, 3000, 15, seed=1)


STAGES = ("read", "decode", "split", "tokenise", "write", "index")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_of_each_file(raw_movies, prepared_movies, tmp_path, stage):
    """Dies as SIGKILL would at the very moment when a stage's result is to appear."""
    out = tmp_path / "out"
    code = f"""
import os, sys
from etils import epath
from mmgenre.machine import files
from data_prep.prepare import prepare, PrepareConfig
names = {{"read": "movies.jsonl", "decode": ".npz", "split": "split.npy", "tokenise":
          "tokenise.json", "write": "mmgenre-test", "index": "dataset.json"}}
real = files.replacing
import contextlib
@contextlib.contextmanager
def replacing(path):
    with real(path) as temporary:
        yield temporary
        if names[{stage!r}] in epath.Path(path).name:
            os.kill(os.getpid(), 9)
files.replacing = replacing
prepare(PrepareConfig({str(raw_movies[0])!r}, {str(raw_movies[1])!r}, {str(out)!r}, progress="none",
                      name="movies", processes=1))
"""
    process = run([sys.executable, "-c", code])
    assert process.returncode == -signal.SIGKILL, process.stderr
    with pytest.raises(UserError):
        prepared.open_dataset(out)
    prepare(PrepareConfig(*raw_movies, out, name="movies", progress="none"))
    assert _snapshot(out) == _snapshot(prepared_movies.path)
