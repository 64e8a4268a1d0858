"""Decoding in preparation: what ends a decoder costs one poster, by name, and once."""

import io
import json
import os
import signal
import subprocess
import time

import psutil
import pytest
from PIL import Image

from data_prep.prepare import PrepareConfig, prepare
from tests import movie_files
from tests.commands import ROOT
from tests.hostile import pictures
from tests.prepare_command import command

ENDS_DECODERS = (33, 47)

# As a fault in a library that decodes would: at one kind of picture, in whatever process.
_CRASH = f"""
import os, PIL.Image
real = PIL.Image.Image.resize
def resize(self, *args, **kwargs):
    if self.size == {ENDS_DECODERS}:
        os.abort()
    return real(self, *args, **kwargs)
PIL.Image.Image.resize = resize
"""


def _jpeg(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def _prepare(raw_movies, out, *options, path="") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(raw_movies, out, *options),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("num_movies, processes", [(520, 2), (60, 1)])
def test_a_file_that_ends_decoders_is_named_and_counted(tmp_path, num_movies, processes):
    raw_movies = movie_files.make(tmp_path, num_movies, range(1, 31))
    ends = {f"/poster{number}.jpg" for number in (7, 20, num_movies - 1)}
    for name in ends:
        (raw_movies[1] / name[1:]).write_bytes(_jpeg(ENDS_DECODERS))
    (raw_movies[1] / "poster40.jpg").write_bytes(_jpeg((40, 60))[:-200])
    bomb = pictures.jpeg_exif_bomb()
    (raw_movies[1] / "poster41.jpg").write_bytes(bomb)
    library = tmp_path / "library"
    library.mkdir()
    (library / "sitecustomize.py").write_text(_CRASH)
    out, options = tmp_path / "out", ("--processes", str(processes), "--require", "any")
    first = _prepare(raw_movies, out, *options, path=library)
    assert first.returncode == 0, first.stderr
    reason = "corrupt: the decoder ended (SIGABRT)"
    for name in ends:
        assert f"decode: {raw_movies[1]}{name} counts as {reason}" in first.stderr
    posters = json.loads((out / "audit.json").read_text())["posters"]
    assert posters["corrupt_posters"] == {
        **dict.fromkeys(ends, reason),
        "/poster40.jpg": "corrupt: truncated image",
    }
    assert posters["corrupt"] == 4 and posters["without"][reason] == 3
    assert posters["found"] == 30 - 2 + 1
    again = _prepare(raw_movies, out, *options, path=library)
    assert again.returncode == 0 and reason not in again.stderr
    assert again.stdout == first.stdout


def test_a_killed_process_costs_nothing(tmp_path):
    raw_movies = movie_files.make(tmp_path, 520)
    whole = prepare(PrepareConfig(*raw_movies, tmp_path / "whole", name="x", progress="none"))
    process = subprocess.Popen(
        command(raw_movies, tmp_path / "out", "--processes", "2", "--progress", "none"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    parts = tmp_path / "out" / ".work" / "posters"
    killed = False
    while process.poll() is None and not killed:
        if parts.is_dir() and len(list(parts.glob("*.npz"))) < 2:
            for worker in psutil.Process(process.pid).children():
                if "spawn_main" in " ".join(worker.cmdline()):
                    worker.send_signal(signal.SIGKILL)
                    killed = True
        time.sleep(0.05)
    _, errors = process.communicate()
    assert process.returncode == 0 and killed, errors
    for path in whole.path.iterdir():
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path
