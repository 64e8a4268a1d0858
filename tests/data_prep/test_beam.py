"""Apache Beam writes the data set of the single-machine path."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from data_prep.prepare import PrepareConfig, prepare
from data_prep.verify import verify
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import UserError
from tests import movie_files
from tests.commands import ROOT
from tests.encoders import tiny
from tests.poster_server import PosterServer, serve
from tests.prepare_command import command, run


def test_without_beam_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    files = movie_files.make(tmp_path, 5)
    with pytest.raises(UserError, match=r"pip install -e '\.\[beam\]'"):
        prepare(PrepareConfig(*files, tmp_path / "out", runner="DirectRunner", progress="none"))


ENCODERS = {
    "text_encoder": f"{tiny.MODULE}:words",
    "poster_encoder": f"{tiny.MODULE}:colours",
}
"""Their answers do not depend on what else is in a batch."""


def _on_beam(files, out, mode, **options) -> list[str]:
    """The command that prepares on Beam, with further options."""
    return command(
        files,
        out,
        *("--num-shards", "3", "--progress", "none", "--runner", "DirectRunner"),
        *(f"--direct_running_mode={mode}", "--direct_num_workers=2", "--backoff", "0.01"),
        *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
    )


def _compare(tmp_path, num_movies, posters, mode, **options):
    metadata, folder = movie_files.make(tmp_path, num_movies, range(1, num_movies - 5))
    _prepare_here((metadata, folder), tmp_path / "ours", **options)
    done = run(_on_beam((metadata, posters or folder), tmp_path / "beam", mode, **options))
    assert done.returncode == 0, done.stderr
    _assert_same(open_dataset(tmp_path / "ours"), open_dataset(tmp_path / "beam"))


def _prepare_here(files, out, **options):
    config = PrepareConfig(*files, out, name="x", num_shards=3, progress="none", **options)
    return prepare(config)


def _assert_same(ours, beam):
    # The fingerprint is over all records' contents, in order; the map of features in an Example
    # may be in another order, so the files' bytes need not be equal.
    assert beam.info.fingerprint == ours.info.fingerprint
    assert {n: (s.num_movies, s.genre_counts) for n, s in beam.info.splits.items()} == {
        n: (s.num_movies, s.genre_counts) for n, s in ours.info.splits.items()
    }
    assert [p.name for s in ours.info.splits for p in ours.shard_paths(s)] == [
        p.name for s in beam.info.splits for p in beam.shard_paths(s)
    ]
    assert verify(beam.path) == []


def test_beam_in_threads_writes_the_same_data_set(tmp_path):
    """One split only, and so one pipeline of TFDS's: they take seconds each."""
    _compare(tmp_path, 40, None, "multi_threading", all_to="train", **ENCODERS)


def test_an_encoder_with_other_weights_on_a_worker_is_one_line(tmp_path, monkeypatch):
    files = movie_files.make(tmp_path, 20)
    options = {"all_to": "train", "text_encoder": ENCODERS["text_encoder"]}
    monkeypatch.setenv("MMGENRE_TEXT_ENCODER", f"{tiny.MODULE}:other_words")
    done = run(_on_beam(files, tmp_path / "beam", "multi_threading", **options))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "error: a worker of --runner needs the encoder hashed words with the weights"
    )


@pytest.mark.slow
def test_beam_in_processes_writes_the_same_data_set(tmp_path):
    """More than one part, so that several workers have something to do; posters from a server."""
    served = tmp_path / "posters"
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "w154").symlink_to(served)
    with serve(PosterServer(tmp_path / "served", fault_share=0.1, stall=0.0)) as server:
        _compare(tmp_path, 1200, server.base, "multi_processing")


@pytest.mark.slow
def test_killed_in_processes_while_encoding_and_run_again(tmp_path):
    """All processes at once and at any moment, each time later than the last."""
    files = movie_files.make(tmp_path, 1200, range(1, 900))
    _prepare_here(files, tmp_path / "ours", **ENCODERS)
    commanded = _on_beam(files, tmp_path / "beam", "multi_processing", **ENCODERS)
    rng = random.Random(0)
    for kill in range(3):
        # A session of its own: the workers are ended with it, as by a machine that goes away.
        process = subprocess.Popen(
            commanded,
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(8 + 6 * kill + rng.uniform(0, 4))
        assert process.poll() is None, "it ended before it was to be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = run(commanded)
    assert done.returncode == 0, done.stderr
    _assert_same(open_dataset(tmp_path / "ours"), open_dataset(tmp_path / "beam"))
