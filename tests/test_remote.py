"""Data and runs on s3://: a real object store, moto's, on loopback."""

import json
import subprocess
import sys
import time
import urllib.request

import pytest
from etils import epath

from mmgenre import remote
from tests.commands import ROOT
from tests.scale_helpers import ended, finish, free_port, start_main


def test_local_paths_are_not_remote(tmp_path):
    assert not remote.is_remote(epath.Path(tmp_path))
    assert remote.is_remote("gs://bucket/data")
    (tmp_path / "bytes").write_bytes(b"abc")
    assert remote.map_bytes(epath.Path(tmp_path / "bytes")).tobytes() == b"abc"


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
def test_a_run_on_an_object_store(s3, tiny_dataset):
    """Checkpoints, metrics and tables go there, and a second command goes on from them."""
    run = epath.Path("s3://bucket/runs/tiny")
    settings = (f"--config.data.dir={tiny_dataset.path}", f"--workdir={run}")
    for epochs in (1, 2):
        process = start_main(*settings, f"--config.epochs={epochs}", env=s3)
        with ended(process):
            code, output = finish(process)
        assert code == 0, output
    steps = tiny_dataset.split("train").num_movies // 8
    assert f"resuming from the checkpoint of step {steps}" in output
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "validation/loss" in row] == [steps, 2 * steps]
    assert {path.name for path in run.iterdir()} >= {
        "checkpoints", "config.json", "evaluation-test.json", "metrics.jsonl", "tokenizer.json"
    }  # fmt: skip
