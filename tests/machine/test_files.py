"""Data and runs on s3://: a real object store, moto's, on loopback."""

import subprocess
import sys
import time
import urllib.request

import pytest
from etils import epath

from mmgenre.machine import files
from tests import movie_files
from tests.commands import ROOT
from tests.scale_helpers import ended, finish, free_port, start, start_main


def test_local_paths_are_not_remote(tmp_path):
    assert not files.is_remote(epath.Path(tmp_path))
    assert files.is_remote("gs://bucket/data")
    (tmp_path / "bytes").write_bytes(b"abc")
    assert files.map_bytes(epath.Path(tmp_path / "bytes")).tobytes() == b"abc"


@pytest.fixture
def s3(monkeypatch):
    """The address of an empty bucket, and the environment that leads there."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    port = free_port()
    url = f"http://localhost:{port}"
    env = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ended(server):
        for _ in range(200):
            try:
                urllib.request.urlopen(url).close()
                break
            except OSError:
                time.sleep(0.1)
        request = urllib.request.Request(f"{url}/bucket", method="PUT")
        urllib.request.urlopen(request).close()
        yield env


@pytest.mark.slow
def test_data_on_an_object_store(s3, tiny_dataset, tmp_path):
    data = epath.Path("s3://bucket/data")
    for file in tiny_dataset.path.iterdir():
        if file.is_file():
            (data / file.name).write_bytes(file.read_bytes())
    settings = (f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    process = start_main(*settings, env=s3)
    with ended(process):
        code, output = finish(process)
    assert code == 0, output
    assert "data set: tiny (s3://bucket/data" in output


@pytest.mark.slow
def test_preparation_into_an_object_store(s3, tmp_path):
    """The stages' own results stay on the local disk, where they can be locked and renamed."""
    metadata, posters = movie_files.make(tmp_path, 40, range(1, 35))
    prepare = ["--metadata", metadata, "--posters", posters, "--work", tmp_path / "work"]
    for command in (
        ["prepare", *prepare, "--out", "s3://bucket/new"],
        ["verify", "s3://bucket/new"],
    ):
        process = start(f"data_prep.{command[0]}", *command[1:], env=s3)
        with ended(process):
            code, output = finish(process)
        assert code == 0, output
    assert "s3://bucket/new: all well" in output


def test_a_run_on_s3_is_refused_before_it_starts(tiny_dataset):
    """Orbax could not write its checkpoints; better to know before an epoch of training."""
    settings = (f"--config.data.dir={tiny_dataset.path}", "--workdir=s3://bucket/runs/tiny")
    process = start_main(*settings)
    with ended(process):
        code, output = finish(process)
    assert code == 2
    assert "error: cannot write the run directory s3://bucket/runs/tiny: Orbax writes" in output
