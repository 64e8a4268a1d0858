"""Locks: one process at a time, and a file system that has none."""

import errno
import shutil
import subprocess
import sys

import pytest

from mmgenre.machine import file_lock
from tests.scale_helpers import ended, finish, start, start_main


def test_one_process_at_a_time_and_the_next_after_it(tmp_path):
    path = tmp_path / "lock"
    with (
        file_lock.held(path),
        pytest.raises(file_lock.InUseError, match=r"process \d+ on "),
        file_lock.held(path),
    ):
        pass
    with file_lock.held(path):
        pass


@pytest.fixture
def no_locks(tmp_path) -> dict[str, str]:
    """An environment whose flock answers as some Lustre and NFS mounts do."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    source, library = tmp_path / "flock.c", tmp_path / "flock.so"
    source.write_text(
        "#include <errno.h>\n"
        f"int flock(int file, int operation) {{ errno = {errno.ENOSYS}; return -1; }}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


def test_where_there_are_no_locks_work_goes_on(no_locks, raw_movies, tiny_dataset, tmp_path):
    metadata, posters = raw_movies
    out = tmp_path / "movies"
    arguments = ("--metadata", metadata, "--posters", posters, "--out", out)
    preparation = start("data_prep.prepare", *arguments, env=no_locks)
    # It stops right behind the lock.
    settings = (f"--config.data.dir={tiny_dataset.path}", "--config.batch_size=100000")
    training = start_main(*settings, f"--workdir={tmp_path / 'run'}", env=no_locks)
    with ended(preparation, training):
        code, output = finish(preparation)
        assert code == 0, output
        assert f"cannot lock {out / '.work' / 'lock'} (Function not implemented)" in output
        assert (out / "dataset.json").exists()
        code, output = finish(training)
        assert f"cannot lock {tmp_path / 'run' / 'lock'} (Function not implemented)" in output
        assert "config.batch_size is 100000, but" in output
