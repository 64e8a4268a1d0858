"""Runs on object stores: nothing half is ever read, and the end is that of a local run."""

import contextlib
import shutil
import signal
import time
from pathlib import Path

import fsspec
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.runs import checkpoint_seal, mirror, workplace
from mmgenre.runs.checkpoints import RunCheckpoints
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows
from mmgenre.runs.mirror import Mirror, TakenOver
from mmgenre.runs.object_store import StoredFolder
from tests import object_store
from tests.scale_helpers import checkpoint_steps, ended, finish, free_port, start, start_main
from tests.training.test_kill_campaign import assert_same

ADDRESS = "memory://bucket/runs/tiny"
S3 = "s3://bucket/runs/tiny"


@pytest.fixture
def s3(monkeypatch):
    with object_store.bucket(monkeypatch) as env:
        yield env


@pytest.fixture
def memory():
    """The store of fsspec in this process' memory, empty."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.find("/") else None
    return system


@pytest.fixture(scope="module")
def saves(tmp_path_factory) -> list[Path]:
    """The folder of a run after each of three saves, of which the last one deletes the first."""
    folder = tmp_path_factory.mktemp("saves")
    run, copies = folder / "run", []
    with RunCheckpoints(run / "checkpoints") as checkpoints:
        for step in (1, 2, 3):
            with (run / "metrics.jsonl").open("a") as file:
                file.write(f'{{"step": {step}, "validation/loss": {1 / step}}}\n')
            checkpoints.save(step, {"params": {"w": jnp.full(1000, step)}}, score=step)
            checkpoints.wait()
            files.write_text(run / "config.json", "{}")
            copies.append(shutil.copytree(run, folder / str(step)))
    assert [checkpoint_steps(copy) for copy in copies] == [[1], [1, 2], [2, 3]]
    return copies


class Killed(BaseException):
    """What a process that dies does to the code that runs in it."""


class Dying:
    """A file system on which so many changes are made before the process dies."""

    def __init__(self, system, changes: int):
        self.system, self.left = system, changes

    def __getattr__(self, name: str):
        method = getattr(self.system, name)

        def change(*arguments):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return method(*arguments)

        return change if name in ("put_file", "pipe_file", "rm_file") else method


def fetched(folder: Path, address: str = ADDRESS) -> Path:
    """What a reader on another machine finds."""
    Mirror(address, folder).fetch()
    return folder


def test_a_kill_at_any_change_leaves_whole_checkpoints_and_loses_at_most_the_last(
    memory, saves, tmp_path
):
    for changes in range(1000):
        memory.rm("/", recursive=True) if memory.find("/") else None
        writer, sent = Mirror(ADDRESS, tmp_path / "none"), 0
        writer.claim()
        dying = writer._store._system = Dying(memory, changes)
        with contextlib.suppress(Killed):
            for save in saves:
                writer.folder = save
                writer.send()
                sent += 1
        found = fetched(tmp_path / "found")
        steps = checkpoint_steps(found) if (found / "checkpoints").exists() else []
        assert steps or not sent
        assert not sent or steps[-1] >= checkpoint_steps(saves[sent - 1])[-1], changes
        for step in steps:
            folder = found / "checkpoints" / str(step)
            assert checkpoint_seal.broken_file(folder) == ""
            names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
            saved = saves[step - 1] / "checkpoints" / str(step)
            assert names == {p.relative_to(saved) for p in saved.rglob("*") if p.is_file()}
        if steps:
            assert {row["step"] for row in read_rows(found / "metrics.jsonl")} >= {*steps}
        successor = Mirror(ADDRESS, tmp_path / "successor")
        successor.claim()  # Removes what the dead one left half.
        there = {name for name in successor._store.list_files() if name.startswith("checkpoints/")}
        assert {name.split("/")[1] for name in there} == {str(step) for step in steps}
        shutil.rmtree(found, ignore_errors=True)
        if sent == len(saves):
            break
    assert dying.left == 0 and changes > 50
    assert steps == [2, 3]


def test_a_checkpoint_without_its_seal_counts_as_none(memory, saves, tmp_path):
    writer = Mirror(ADDRESS, tmp_path / "none")
    writer.claim()
    writer.folder = saves[2]
    writer.send()
    memory.rm_file("/bucket/runs/tiny/checkpoints/3/files.json")
    memory.pipe_file("/bucket/runs/tiny/checkpoints/07/files.json", b"{}")
    memory.pipe_file("/bucket/runs/tiny/../outside", b"")
    assert checkpoint_steps(fetched(tmp_path / "found")) == [2]
    assert "outside" not in {path.name for path in tmp_path.rglob("*")}


def test_who_began_last_goes_on(memory, saves, tmp_path):
    first, second = (Mirror(ADDRESS, tmp_path / name) for name in ("first", "second"))
    first.claim()
    second.claim()
    first.folder = second.folder = saves[0]
    with pytest.raises(TakenOver, match=r"^process [0-9]+ on "):
        first.send()
    assert "checkpoints/1/files.json" not in first._store.list_files()
    second.send()
    assert "checkpoints/1/files.json" in first._store.list_files()


def test_a_run_goes_on_from_its_copy_only_where_nobody_else_wrote_since(memory, saves, tmp_path):
    copy = tmp_path / "copy"
    writer = Mirror(ADDRESS, copy)
    writer.claim()
    shutil.copytree(saves[0], copy, dirs_exist_ok=True)
    writer.send()
    shutil.copytree(saves[1], copy, dirs_exist_ok=True)  # A save that was not sent.
    Mirror(ADDRESS, copy).claim()
    assert checkpoint_steps(copy) == [1, 2]
    elsewhere = Mirror(ADDRESS, tmp_path / "elsewhere")
    elsewhere.claim()
    assert checkpoint_steps(tmp_path / "elsewhere") == [1]
    Mirror(ADDRESS, copy).claim()
    assert checkpoint_steps(copy) == [1]
    (copy / mirror.OWNER).unlink()
    shutil.rmtree(copy / "checkpoints")  # As a kill leaves what was being removed.
    Mirror(ADDRESS, copy).claim()
    assert checkpoint_steps(copy) == [1]


def test_nothing_is_deleted_there_when_everything_is_gone_here(memory, saves, tmp_path):
    writer = Mirror(ADDRESS, tmp_path / "none")
    writer.claim()
    writer.folder = saves[0]
    writer.send()
    writer.folder = tmp_path / "gone"
    writer.send()
    assert checkpoint_steps(fetched(tmp_path / "found")) == [1]


def test_a_missing_bucket_and_missing_credentials_are_one_line(s3, tiny_dataset, tmp_path):
    data = f"--config.data.dir={tiny_dataset.path}"
    nobody = {**s3, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    nobody |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    processes = [
        start_main(data, "--workdir=s3://none/run", env=s3),
        start_main(data, f"--workdir={S3}", env=nobody),
        start("mmgenre.report", "--run", "s3://none/run", env=s3),
    ]
    outputs = []
    with ended(*processes):
        for process in processes:
            code, output = finish(process)
            assert code == 2, output
            outputs.append(output.splitlines()[-1])
            assert output.count("rror") <= 1 and "Traceback" not in output, output
    assert outputs[0].startswith("error: cannot write the run directory s3://none/run: ")
    assert "bucket does not exist" in outputs[0]
    assert "Unable to locate credentials" in outputs[1]
    assert outputs[2].startswith("error: cannot read s3://none/run: ")


def test_a_run_is_read_from_a_store_and_results_go_there(s3, tiny_run, tmp_path):
    stored = StoredFolder(S3)
    with pytest.raises(UserError, match="s3://bucket/runs/tiny is not a run"):
        RunDirectory.open(S3)
    for path in Path(tiny_run.path).rglob("*"):
        if path.is_file():
            stored.send(path, str(path.relative_to(tiny_run.path)))
    run = RunDirectory.open(S3)
    assert run.path.name == "tiny" and run.shown(run.log_file) == f"{S3}/log.txt"
    step = checkpoint_steps(run.path)[-1]
    assert not (run.checkpoints / str(step) / "training").exists()  # Half of a run's bytes.
    from mmgenre.prediction.predictor import GenrePredictor

    here, there = (GenrePredictor.load(place) for place in (tiny_run.path, S3))
    jax.tree.map(np.testing.assert_array_equal, here.params, there.params)
    with workplace.results_sent(S3):
        files.write_text(run.evaluation_file("other"), "{}")
        (run.path / "report-figures").mkdir()
        files.write_text(run.path / "report-figures" / "new.png", "")
    assert stored.read("evaluation-other.json") == b"{}"
    assert "report-figures/new.png" in stored.list_files()
    (run.path / "dataset.json").write_text("{")
    with pytest.raises(UserError, match=f"^{S3}/dataset.json is missing or damaged"):
        run.load_dataset_info()


def newest() -> int:
    """The step of the newest checkpoint that has been sealed on the store."""
    names = StoredFolder(S3).list_files()
    return max((int(n.split("/")[1]) for n in names if n.endswith("/files.json")), default=0)


def wait_for_checkpoint(after: int, process) -> None:
    while newest() <= after:
        assert process.poll() is None, finish(process)
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_runs_on_s3_end_as_an_undisturbed_one_on_this_machine(s3, tiny_dataset, tmp_path):
    settings = (
        *(f"--config.data.dir={tiny_dataset.path}", "--config.patience=0"),
        "--config.epochs=60",
    )
    undisturbed = tmp_path / "undisturbed"
    process = start_main(f"--workdir={undisturbed}", *settings)
    with ended(process):
        code, output = finish(process)
    assert code == 0, output

    on_s3 = (f"--workdir={S3}", *settings)
    environments = [{**s3, "XDG_CACHE_HOME": str(tmp_path / name)} for name in ("a", "b", "b")]
    ends = ((signal.SIGKILL, 0.0), (signal.SIGKILL, 0.3), (signal.SIGTERM, 0.1))
    for env, (how, wait) in zip(environments, ends, strict=True):
        process = start_main(*on_s3, env=env)
        with ended(process):
            wait_for_checkpoint(newest(), process)
            time.sleep(wait)
            process.send_signal(how)
            code, output = finish(process)
        assert code == (-9 if how == signal.SIGKILL else 143), output
        fetched(tmp_path / "seen", S3)
        for step in checkpoint_steps(tmp_path / "seen"):
            assert not checkpoint_seal.broken_file(tmp_path / "seen" / "checkpoints" / str(step))
        shutil.rmtree(tmp_path / "seen")
    process = start_main(*on_s3, env=environments[0])
    with ended(process):
        code, output = finish(process)
    assert code == 0, output
    assert "resuming from the checkpoint of step" in output and "damaged" not in output
    assert f"results: {S3}\n" in output and f"report: {S3}/report.html" in output
    assert [path.name for path in (tmp_path / "a").rglob("*") if path.name == "tiny"] == []
    assert_same(fetched(tmp_path / "end", S3), undisturbed)
    for arguments in (
        ("report", "--run", S3),
        ("evaluate", "--run", S3, "--data", tiny_dataset.path, "--split", "train"),
        ("predict", "--run", S3, "--overview", "A boy finds a map."),
        ("export", "--run", S3, "--out", tmp_path / "bundle"),
    ):
        process = start(f"mmgenre.{arguments[0]}", *arguments[1:], env=environments[0])
        with ended(process):
            code, output = finish(process)
        assert code == 0, output
        assert arguments[0] != "report" or f"report: {S3}/report.html" in output
    assert "predictions-train.npz" in StoredFolder(S3).list_files()


@pytest.mark.slow
def test_two_processes_without_a_shared_folder(s3, tiny_dataset, tmp_path):
    """Only process 0 writes there; the other has a cache of its own, as on another machine."""
    settings = (
        *(f"--config.data.dir={tiny_dataset.path}", "--config.patience=0"),
        *("--config.epochs=12", "--config.checkpoint_every_steps=5"),
    )

    def start_both(workdir):
        port = free_port()
        return [
            start_main(
                *(f"--workdir={workdir}", *settings),
                *(f"--coordinator=localhost:{port}", "--num_processes=2", f"--process_id={i}"),
                env={**s3, "XDG_CACHE_HOME": str(tmp_path / f"cache{i}")},
            )
            for i in (0, 1)
        ]

    def codes(processes) -> list[int]:
        with ended(*processes):
            return [finish(process)[0] for process in processes]

    undisturbed = tmp_path / "undisturbed"
    assert codes(start_both(undisturbed)) == [0, 0]
    processes = start_both(S3)
    with ended(*processes):
        wait_for_checkpoint(0, processes[0])
        processes[1].send_signal(signal.SIGTERM)
        assert codes(processes) == [143, 143]
    assert codes(start_both(S3)) == [0, 0]
    assert not list((tmp_path / "cache1").rglob("checkpoints"))
    assert_same(fetched(tmp_path / "end", S3), undisturbed)


@pytest.mark.slow
def test_a_run_that_another_takes_over_stops(s3, tiny_dataset, tmp_path):
    settings = (f"--config.data.dir={tiny_dataset.path}", "--config.epochs=100000")
    process = start_main(f"--workdir={S3}", *settings, "--config.patience=0", env=s3)
    with ended(process):
        wait_for_checkpoint(0, process)
        Mirror(S3, tmp_path / "other").claim()
        code, output = finish(process)
    assert code == 1, output
    assert f"error: {S3} is now written by another run (process " in output
    assert "Traceback" not in output
