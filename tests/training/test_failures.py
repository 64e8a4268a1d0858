"""Failures around a run: the real command, its message and its exit code."""

import dataclasses
import fcntl
import json
import shutil
from pathlib import Path

import pytest

from mmgenre import schema
from mmgenre.dataset.prepared import INFO_FILE, PreparedDataset
from mmgenre.runs.directory import RunDirectory
from tests.scale_helpers import checkpoint_steps, ended, finish, rows, start_main

HUGE_STEPS = ("--config.learning_rate=1.0", f"--config.model.head_units={(64,) * 24}")
"""Overflows float32 within a few steps."""


def run(*arguments: object) -> tuple[int, str]:
    process = start_main(*arguments)
    with ended(process):
        return finish(process)


def assert_refused(result: tuple[int, str], *messages: str, code: int = 2) -> None:
    actual, output = result
    assert actual == code, output
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    for message in messages:
        assert message in line


@pytest.fixture
def data(tiny_dataset: PreparedDataset, tmp_path: Path) -> Path:
    """A copy of the data set, to damage."""
    shutil.copytree(tiny_dataset.path, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def finished(tiny_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the command; tests use copies."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    arguments = (f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}")
    code, output = run(*arguments, "--config.epochs=3")
    assert code == 0, output
    return workdir


@pytest.fixture
def workdir(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


# The data.


@pytest.mark.parametrize("split", [schema.TRAIN, schema.VALIDATION, schema.TEST])
def test_a_flipped_byte(data, tmp_path, split):
    shard = sorted(data.glob(f"*{split}*"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    result = run(f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    assert_refused(result, f"the shard {shard} is damaged: record", "does not fit its checksum")
    assert not rows(tmp_path / "run"), "found before training"


def test_a_missing_shard(data, tmp_path):
    shard = sorted(data.glob(f"*{schema.TEST}*"))[0]
    shard.unlink()
    result = run(f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    assert_refused(result, f"the shard {shard} is missing")
    assert not (tmp_path / "run").exists()


def test_a_truncated_shard(data, tmp_path):
    shard = sorted(data.glob(f"*{schema.TRAIN}*"))[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    result = run(f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    assert_refused(result, f"the shard {shard} has", "truncated")


def test_another_schema_version(data, tmp_path):
    change_info(data, schema_version=99)
    result = run(f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    assert_refused(result, f"{data} has schema version 99, this program reads")


def test_a_tokenizer_that_is_not_the_data_sets_own(data, tmp_path):
    tokenizer = data / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    result = run(f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}")
    assert_refused(result, f"{tokenizer} is not the tokenizer that {data} was written with")


# The run directory.


@pytest.mark.parametrize("below_a_file", [True, False])
def test_a_workdir_that_cannot_be_written(tiny_dataset, tmp_path, below_a_file):
    (tmp_path / "file").write_text("")
    workdir = tmp_path / "file" / "run" if below_a_file else Path("/proc/self/run")
    result = run(f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}")
    assert_refused(result, f"cannot write the run directory {workdir}")


def test_two_runs_on_one_workdir(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    with (workdir / "lock").open("w") as lock:
        lock.write("process 1234 on somewhere\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run(f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}")
    assert_refused(result, f"{workdir} is in use by process 1234 on somewhere")
    assert not (workdir / "config.json").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("--config.model.use_poster=False", "config.model.use_poster = True, now it is False"),
        ("--config.model.poster_features=8", "config.model.poster_features = 4, now it is 8"),
        ("--config.data.max_tokens=24", "config.data.max_tokens = 16, now it is 24"),
        ("--config.clip_norm=1.0", "config.clip_norm = 0.0, now it is 1.0"),
    ],
)
def test_another_config(workdir, tiny_dataset, setting, message):
    settings = [setting, f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    if "max_tokens" in setting:
        settings.append("--config.data.bucket_lengths=(24,)")
    assert_refused(run(*settings), f"{workdir} holds a run with {message}")


def test_another_tokenizer(workdir, data):
    tokenizer = data / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    from mmgenre.inputs.tokenizer import tokenizer_digest

    change_info(data, tokenizer_sha256=tokenizer_digest(tokenizer), fingerprint="other")
    result = run(f"--config.data.dir={data}", f"--workdir={workdir}")
    assert_refused(result, f"{workdir} holds a run on", "choose another --workdir (or")


def test_other_genres(workdir, tiny_dataset):
    info = json.loads((workdir / "dataset.json").read_text())
    info["info"]["genres"][0] = "Slapstick"
    (workdir / "dataset.json").write_text(json.dumps(info))
    result = run(f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}")
    assert_refused(result, "18 in place of 18: without 'Slapstick', with 'Action'")


# Checkpoints.


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncate", "bytes instead of"),
        pytest.param("empty", "has 0 bytes instead of", marks=pytest.mark.slow),
        pytest.param("delete", "is missing", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_and_harmless_changes(workdir, tiny_dataset, how, said):
    before, newest = checkpoint_steps(workdir)[-2:]
    values = max(
        (p for p in (workdir / "checkpoints" / str(newest)).rglob("*") if p.is_file()),
        key=lambda path: path.stat().st_size,
    )
    if how == "delete":
        values.unlink()
    else:
        values.write_bytes(b"" if how == "empty" else values.read_bytes()[:-1])
    settings = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    settings += ["--config.epochs=4", "--config.patience=9", "--config.log_every_steps=4"]
    code, output = run(*settings)
    assert code == 0, output
    (line,) = [line for line in output.splitlines() if "is damaged" in line]
    item = values.relative_to(workdir / "checkpoints" / str(newest)).parts[0]
    assert f"the checkpoint of step {newest} is damaged (its file {item}/" in line
    assert said in line
    assert "using the one before" in output
    assert f"resuming from the checkpoint of step {before}" in output
    assert (workdir / "damaged-checkpoints" / str(newest)).exists()
    steps = [row["step"] for row in rows(workdir) if "train/loss" in row]
    assert steps == sorted(set(steps))
    assert steps[-1] == newest // 3 * 4


def test_all_checkpoints_damaged(workdir, tiny_dataset):
    for step in checkpoint_steps(workdir):
        (workdir / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").write_text("")
    settings = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    assert_refused(run(*settings), f"all checkpoints in {workdir / 'checkpoints'} are damaged")


@pytest.mark.slow
def test_a_full_disk(tiny_dataset, tmp_path, small_disk):
    """The embeddings alone make a checkpoint 1 MB: the third does not fit beside two."""
    workdir = small_disk / "run"
    settings = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    settings += ["--config.model.embedding_size=128", "--config.epochs=6", "--config.patience=0"]
    assert_refused(run(*settings), "cannot save the checkpoint", "no space left", code=1)
    saved = checkpoint_steps(workdir)
    assert saved
    shutil.copytree(workdir, tmp_path / "run")  # To where there is space.
    code, output = run(*settings[:1], f"--workdir={tmp_path / 'run'}", *settings[2:])
    assert code == 0, output
    assert "damaged" not in output
    assert f"resuming from the checkpoint of step {saved[-1]}" in output


# Numbers.


def test_a_loss_that_is_not_finite(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    settings = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}", *HUGE_STEPS]
    result = run(*settings, "--config.checkpoint_every_steps=1", "--config.epochs=5")
    assert_refused(result, "the loss is not finite", "config.learning_rate", code=1)
    record = json.loads(RunDirectory(workdir).non_finite_file.read_text())
    assert record["learning_rate"] == 1.0
    assert len(record["movie_ids"]) == 8
    assert f"at step {record['step']}" in result[1]
    assert all(step < record["step"] for step in checkpoint_steps(workdir))
    assert all(row["step"] < record["step"] for row in rows(workdir))


def change_info(data: Path, **changes: object) -> None:
    path = data / INFO_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MB; needs the right to mount."""
    import subprocess

    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_configs_round_trip(tiny_config):
    """Runs from before `clip_norm` are read with its default."""
    fields = json.loads(tiny_config.to_json())
    del fields["clip_norm"]
    assert type(tiny_config).from_json(json.dumps(fields)) == dataclasses.replace(tiny_config)
