"""Storing what was fetched, in a process of its own."""

import os
import signal
from pathlib import Path

import pytest

from data_prep.posters.http_client import MISSING, Answer
from data_prep.posters.manifest import Manifest
from data_prep.posters.store_process import Storing
from mmgenre.errors import UserError
from mmgenre.inputs.poster_decoder import MAX_BYTES

FOUND = Answer(b"x" * 9_000, "w154", "")
ABSENT = Answer(None, "", MISSING)


def test_everything_is_stored_and_nothing_stays_pending(tmp_path):
    with Manifest(tmp_path, ("w154",)) as manifest:
        with Storing(manifest) as storing:
            for number in range(1_000):  # Ten times what a pipe holds.
                storing.pending.add(f"/{number}.jpg")
                storing.put(f"/{number}.jpg", FOUND if number % 2 else ABSENT)
        assert not storing.pending
        located = manifest.locate_all([f"/{n}.jpg" for n in range(1_001)])
    assert located["/0.jpg"] == ("", MISSING)
    assert located["/1.jpg"] == (f"{tmp_path}/w154/1.jpg", "")
    assert located["/1000.jpg"] is None
    assert len(list((tmp_path / "w154").iterdir())) == 500


def test_large_files_share_the_memory_by_turns(tmp_path):
    def data(number: int) -> bytes:
        return bytes([number]) * (MAX_BYTES * (number % 3) // 2 + number)

    with Manifest(tmp_path, ("w154",)) as manifest, Storing(manifest) as storing:
        for number in range(8):
            if len(data(number)) <= MAX_BYTES:
                storing.put(f"/{number}.jpg", Answer(data(number), "w154", ""))
    stored = {path.name: path.read_bytes() for path in (tmp_path / "w154").iterdir()}
    assert stored == {f"{n}.jpg": data(n) for n in (0, 1, 3, 4, 6, 7)}


def test_a_file_without_a_row_is_believed_by_the_next_run(tmp_path):
    """The kill came between the two."""
    (tmp_path / "w154").mkdir()
    (tmp_path / "w154" / "a.jpg").write_bytes(b"x")
    (tmp_path / "w154" / "b.jpg").write_bytes(b"")
    with Manifest(tmp_path, ("w92", "w154")) as manifest:
        assert manifest.locate("/a.jpg") == (f"{tmp_path}/w154/a.jpg", "")
        assert manifest.locate("/b.jpg") is None


def refuse(folder: Path) -> None:
    """Lets every write fail: the folder of the width is a link to itself."""
    (folder / "w154").symlink_to("w154")


def test_a_disk_that_refuses_is_an_error(tmp_path):
    refuse(tmp_path)
    with (
        Manifest(tmp_path, ("w154",)) as manifest,
        pytest.raises(UserError, match=f"cannot store posters in {tmp_path}: .*symbolic links"),
        Storing(manifest) as storing,
    ):
        storing.put("/a.jpg", FOUND)


def test_an_error_on_the_way_is_the_one_to_report(tmp_path):
    refuse(tmp_path)
    with (
        Manifest(tmp_path, ("w154",)) as manifest,
        pytest.raises(UserError, match="the server is gone"),
        Storing(manifest) as storing,
    ):
        storing.put("/a.jpg", FOUND)
        raise UserError("the server is gone")


def test_the_end_of_the_process_is_noticed(tmp_path):
    with (
        Manifest(tmp_path, ("w154",)) as manifest,
        pytest.raises(UserError, match="the process that stores them was ended"),
        Storing(manifest) as storing,
    ):
        os.kill(storing._process.pid, signal.SIGKILL)
        for number in range(1_000):
            storing.put(f"/{number}.jpg", FOUND)
