"""Compiled programs are found again; a cache that is damaged or read-only costs nothing."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from mmgenre.machine import compilation_cache
from tests.commands import ROOT, environment

_CHILD = """
from mmgenre.machine import compilation_cache
compilation_cache.enable()
import jax, jax.numpy as jnp
compiled = []
jax.monitoring.register_event_listener(lambda event, **_: compiled.append(event))
step = jax.pmap(lambda x: jax.lax.psum(jnp.linalg.qr(jnp.tanh(x @ x.T))[0].sum(), "i"), "i")
print(float(step(jnp.ones((1, 8, 8)))[0]))
print(compiled.count("/jax/compilation_cache/cache_hits"))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A new cache, with a program in it that was compiled just now; its first answer beside it."""
    value, hits = run(tmp_path)
    assert hits == 0
    folder = compilation_cache.cache_folder({"XDG_CACHE_HOME": str(tmp_path)})
    (tmp_path / "value").write_text(value)
    return folder


def run(cache_home: Path, **more: str) -> tuple[str, int]:
    env = environment() | {
        "XDG_CACHE_HOME": str(cache_home),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        **more,
    }
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    process = subprocess.run(
        [sys.executable, "-c", _CHILD],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not process.stderr, process.stderr
    value, hits = process.stdout.split()
    return value, int(hits)


def test_the_second_start_compiles_nothing_again(folder, tmp_path):
    value, hits = run(tmp_path)
    assert hits >= len(list(folder.glob("*-cache"))) > 0
    assert value == (tmp_path / "value").read_text()  # To the last bit.


def test_files_cut_off_in_writing_are_replaced(folder, tmp_path):
    whole = {path.name: path.read_bytes() for path in folder.glob("*-cache")}
    for name, content in whole.items():
        (folder / name).write_bytes(content[: len(content) // 2])
    value, hits = run(tmp_path)  # And it says nothing: `run` looks at what it writes.
    assert hits == 0
    assert value == (tmp_path / "value").read_text()
    assert run(tmp_path)[1] > 0


@pytest.mark.parametrize("obstacle", ["file", "folder"])
def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path, obstacle):
    if obstacle == "file":
        (tmp_path / "mmgenre").write_text("not a folder")
    else:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        (tmp_path / "mmgenre").mkdir(mode=0o500)
    assert run(tmp_path)[1] == 0


def test_the_oldest_files_go_first(tmp_path):
    for age, name in enumerate(("new", "old", "older")):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(zlib.compress(os.urandom(1000)))
        os.utime(path, (1e9 - age, 1e9 - age))
    compilation_cache.tidy(tmp_path, max_bytes=2500)
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == ["new-cache", "old-cache"]


def test_the_folder_is_the_users_alone(folder):
    assert folder.stat().st_mode & 0o777 == 0o700


def test_files_that_were_looked_at_are_not_read_again(tmp_path):
    """A start does not unpack all that earlier ones have left."""
    path = tmp_path / "a-cache"
    path.write_bytes(zlib.compress(b"x" * 1000))
    os.utime(path, (1e9, 1e9))
    compilation_cache.tidy(tmp_path)
    path.write_bytes(b"damaged")  # Which a change in the past cannot be.
    os.utime(path, (1e9, 1e9))
    compilation_cache.tidy(tmp_path)
    assert path.exists()
    path.write_bytes(b"damaged")
    compilation_cache.tidy(tmp_path)
    assert not path.exists()


def test_what_the_user_set_wins():
    environ = {"JAX_COMPILATION_CACHE_DIR": ""}
    compilation_cache.enable(environ)
    assert environ == {"JAX_COMPILATION_CACHE_DIR": ""}
