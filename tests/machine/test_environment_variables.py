"""The real commands under variables that a notebook, a build system or a strange shell has set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prepare_command
from tests.commands import ROOT, environment

FOR_OTHERS = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/nonexistent/matplotlibrc",
    "SOURCE_DATE_EPOCH": "today",
    "TQDM_MININTERVAL": "often",
    "JAX_ENABLE_X64": "1",
    "JAX_TRANSFER_GUARD": "disallow",
    "KERAS_BACKEND": "nonsense",
    "TF_FORCE_GPU_ALLOW_GROWTH": "perhaps",
    "COLUMNS": "0",
    "LINES": "x",
    "TZ": "Mars/Phobos",
    "LANG": "xx_XX.UTF-9",
    "TMPDIR": "/nonexistent",
    "PYTHONSAFEPATH": "1",
}
"""Each has ended a command, or might."""

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(module: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command under those variables."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_meant_for_other_programs_changes_nothing(
    raw_movies, prepared_movies, tiny_run, tmp_path: Path
):
    """Preparation draws with Matplotlib, the report, too; prediction runs JAX."""
    out, page = tmp_path / "movies", tmp_path / "report.html"
    arguments = prepare_command.command(raw_movies, out)[3:]
    prepared = run("data_prep.prepare", *arguments, **FOR_OTHERS)
    assert prepared.returncode == 0, prepared.stderr
    for shard in prepared_movies.path.glob("*.tfrecord*"):
        assert (out / shard.name).read_bytes() == shard.read_bytes()
    drawn = run("mmgenre.report", "--run", tiny_run.path, "--out", page, **FOR_OTHERS)
    assert drawn.returncode == 0 and page.exists(), drawn.stderr
    question = ("--run", tiny_run.path, "--overview", "A boy finds a map.", "--json")
    answers = [run("mmgenre.predict", *question, **variables) for variables in (FOR_OTHERS, {})]
    assert answers[0].returncode == 0, answers[0].stderr
    assert answers[0].stdout == answers[1].stdout


@pytest.mark.slow
def test_a_training_disregards_what_is_meant_for_others(tiny_dataset, tmp_path: Path):
    trial = ("--config", "model0:trial", f"--config.data.dir={tiny_dataset.path}")
    variables = FOR_OTHERS | {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    process = run("mmgenre.main", *trial, f"--workdir={tmp_path / 'run'}", **variables)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "run" / "report.html").exists()


def test_a_malformed_setting_of_jax_is_answered_in_one_line(tiny_run):
    question = ("--run", tiny_run.path, "--overview", "A boy finds a map.")
    process = run("mmgenre.predict", *question, JAX_DEFAULT_MATMUL_PRECISION="foo")
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert '"foo" for JAX flag jax_default_matmul_precision' in process.stderr


def test_names_of_files_are_utf8_whatever_the_locale(tiny_run, tmp_path: Path):
    folder = tmp_path / "Ünï 電影"
    folder.mkdir()
    (folder / "run").symlink_to(tiny_run.path)
    question = ("mmgenre.predict", "--run", folder / "run", "--overview", "A boy finds a map. 電")
    process = run(*question, **ASCII)
    assert process.returncode == 0, process.stderr
    assert process.stdout.isascii() and "Drama" in process.stdout
    process = run("data_prep.verify", os.fsdecode(b"/tmp/\xff"))
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert "'/tmp/\\udcff' is not written in UTF-8" in process.stderr


@pytest.mark.slow
def test_preparation_into_a_folder_that_ascii_cannot_name(raw_movies, tmp_path: Path):
    out = tmp_path / "Ünï 電影"
    arguments = prepare_command.command(raw_movies, out)[3:]
    process = run("data_prep.prepare", *arguments, **ASCII)
    assert process.returncode == 0, process.stderr
    assert run("data_prep.verify", out, **ASCII).returncode == 0
