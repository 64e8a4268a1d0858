"""What all commands have in common: mistakes in one line, any terminal, a reader that goes away."""

import os
import subprocess
import sys

import pytest

from tests.commands import ROOT, environment
from tests.every_command import COMMANDS

MODULES = sorted({command.module for command in COMMANDS.values()})


def run(module, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**environment(), **variables},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("module", MODULES)
def test_a_mistake_is_one_line(module):
    process = run(module, "--no-such-option")
    (line,) = process.stderr.decode().splitlines()
    assert process.returncode == 2
    assert line.startswith("error: ")
    assert process.stdout == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_shows_a_prediction(tiny_run, encoding):
    arguments = ["--run", tiny_run.path, "--overview", "A boy finds a map."]
    process = run("mmgenre.predict", *arguments, PYTHONIOENCODING=encoding)
    assert process.returncode == 0, process.stderr
    shown = process.stdout.decode(encoding)
    assert ("│" if encoding == "utf-8" else "|") in shown
    assert "?" not in shown


def test_characters_that_a_terminal_has_not_are_replaced(tmp_path):
    missing = tmp_path / "Mädchen-映画"
    process = run("mmgenre.report", "--run", missing, PYTHONIOENCODING="ascii")
    (line,) = process.stderr.decode("ascii").splitlines()
    assert process.returncode == 2
    assert r"M\xe4dchen-\u6620\u753b is not a run" in line


@pytest.mark.parametrize("name", ["predict", "evaluate", "export", "demo", "main"])
def test_a_platform_that_jax_has_not_is_one_line(tiny_run, tiny_dataset, tmp_path, name):
    run_of, data = ["--run", tiny_run.path], tiny_dataset.path
    arguments = {
        "predict": [*run_of, "--overview", "A boy finds a map."],
        "evaluate": [*run_of, "--data", data, "--out", tmp_path / "e.json"],
        "export": [*run_of, "--out", tmp_path / "bundle"],
        "demo": [*run_of, "--port", "0"],
        "main": ["--config=model1:trial", f"--config.data.dir={data}", f"--workdir={tmp_path}/r"],
    }[name]
    platform = "cuda" if name in ("predict", "main") else "abacus"
    process = run(f"mmgenre.{name}", *arguments, JAX_PLATFORMS=platform)
    (line,) = process.stderr.decode().splitlines()
    assert process.returncode == 2
    assert f"JAX_PLATFORMS is {platform!r}" in line
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_a_command_in_silence(tiny_run):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "mmgenre.report", "--help"],
        cwd=ROOT,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert process.stderr == b""
