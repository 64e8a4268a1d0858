"""Temporary folders: of a killed process, of one that lives, and of others."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from mmgenre.runs.temporary_folder import TemporaryFolder, remove_left
from tests.commands import ROOT

CHILD = """
import time
from mmgenre.runs.temporary_folder import TemporaryFolder
folder = TemporaryFolder()
(folder.path / "large").write_bytes(b"x")
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path):
    """A process with a folder, and that folder."""
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], env=environ, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process, tmp_path / os.path.basename(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_process_left_is_removed_by_the_next(child, tmp_path, monkeypatch):
    process, left = child
    remove_left(tmp_path)
    assert (left / "large").exists()  # It is alive.
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with contextlib.closing(TemporaryFolder()) as folder:
        assert [path.name for path in tmp_path.iterdir()] == [folder.path.name]
        assert folder.path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_this_programs_or_this_users_stays(tmp_path, monkeypatch):
    (tmp_path / "mmgenre-without-lock").mkdir()
    (tmp_path / "mmgenre-file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".mmgenre-lock").touch()
    (tmp_path / "mmgenre-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mmgenre-others").mkdir()
    (tmp_path / "mmgenre-others" / ".mmgenre-lock").touch()
    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr("os.getuid", lambda: os.stat(tmp_path).st_uid + 1)
        remove_left(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    remove_left(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mmgenre-without-lock", "mmgenre-file", "elsewhere", "mmgenre-link"}
    assert (tmp_path / "elsewhere" / ".mmgenre-lock").exists()
