"""Files that are whole or absent; data on s3://, with moto's object store on loopback."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files
from tests import movie_files, object_store
from tests.commands import ROOT
from tests.scale_helpers import ended, finish, start, start_main


def test_local_paths_are_not_remote(tmp_path):
    assert not files.is_remote(epath.Path(tmp_path))
    assert files.is_remote("gs://bucket/data")
    (tmp_path / "bytes").write_bytes(b"abc")
    assert files.map_bytes(epath.Path(tmp_path / "bytes")).tobytes() == b"abc"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / ("ü" * 120)  # In UTF-8, nearly the longest name that there is.
    files.write_text(path, "before")
    with pytest.raises(ZeroDivisionError), files.atomic_write(path, "w") as file:
        file.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    with files.atomic_write(path, "w") as file:
        file.write("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert files.size(path) == 5
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "figures"
    with files.atomic_folder(folder) as staged:
        (staged / "a").write_text("a")
        assert not folder.exists()
    with pytest.raises(ZeroDivisionError), files.atomic_folder(folder, renew=True) as staged:
        (staged / "b").write_text("b")
        raise ZeroDivisionError
    assert [path.name for path in folder.iterdir()] == ["a"]
    with files.atomic_folder(folder, renew=True) as staged:
        (staged / "c").write_text("c")
    assert [path.name for path in folder.iterdir()] == ["c"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_kill_leaves_is_swept_away(tmp_path):
    code = f"""
import os, signal
from mmgenre.machine import files
with files.atomic_folder({str(tmp_path / "folder")!r}):
    with files.atomic_write({str(tmp_path / "file")!r}) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert process.returncode == -signal.SIGKILL
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    files.sweep(tmp_path, older_than_s=3600)
    assert sorted(tmp_path.iterdir()) == sorted(left)  # Another process may be writing them.
    for path in left:
        os.utime(path, (0, 0))
    (tmp_path / ".hidden").write_text("the user's")
    files.sweep(tmp_path, older_than_s=3600)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]


def test_what_is_in_the_way_is_named(tmp_path):
    (tmp_path / "there").write_text("")
    with pytest.raises(UserError, match="there exists; remove it or choose another --out"):
        files.require_new(tmp_path / "there")
    files.require_new(tmp_path / "new")
    with pytest.raises(UserError, match=f"there is no folder {tmp_path / 'none'}"):
        files.require_folder(tmp_path / "none" / "new")


@pytest.fixture
def s3(monkeypatch):
    with object_store.bucket(monkeypatch) as env:
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


def test_a_folder_removes_what_a_killed_process_left_of_it_but_not_what_is_being_made(tmp_path):
    left, others = tmp_path / ".made.1234abcd.tmp", tmp_path / ".made-too.1234abcd.tmp"
    for folder in (left, others):
        folder.mkdir()
        (folder / "half").write_text("a")
        os.utime(folder, (0, 0))
    with files.atomic_folder(tmp_path / "made") as mine:
        os.utime(mine, (0, 0))
        with files.atomic_folder(tmp_path / "made", renew=True) as other:
            assert not left.exists() and mine.is_dir() and other.is_dir()
            (other / "file").write_text("other")
        shutil.rmtree(tmp_path / "made")
        (mine / "file").write_text("mine")
    assert {path.name for path in tmp_path.iterdir()} == {"made", others.name}
    assert (tmp_path / "made" / "file").read_text() == "mine"
