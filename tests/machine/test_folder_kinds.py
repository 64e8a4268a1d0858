"""Wrong folders: each command that writes leaves a folder of another kind as it was."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.commands import ROOT, run_module, run_several

CONFIG = f"--config={ROOT / 'configs' / 'model1.py'}:trial"


@pytest.fixture(scope="module")
def folders(tiny_run, tiny_dataset, tmp_path_factory) -> dict[str, Path]:
    """A folder of each kind, and one that somebody else made."""
    top = tmp_path_factory.mktemp("folders")
    shutil.copytree(tiny_run.path, top / "run")
    shutil.copytree(tiny_dataset.path, top / "movies")
    (top / "sweep").mkdir()
    (top / "sweep" / "results.json").write_text(json.dumps({"axes": {}, "points": []}))
    (top / "bundle").mkdir()
    (top / "bundle" / "bundle.json").write_text(json.dumps({"format_version": 1}))
    (top / "bundle" / "tokenizer.json").write_text("{}")
    (top / "notes").mkdir()
    (top / "notes" / "tokenizer.json").write_text("mine")
    return {path.name: path for path in top.iterdir()}


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("module", "target", "said"),
    [
        ("mmgenre.main", "movies", "is a prepared data set, not a run"),
        ("mmgenre.main", "notes", "is not empty and not a run (it has 'tokenizer.json')"),
        ("mmgenre.sweep", "run", "is a run, not a sweep"),
    ],
)
def test_training_leaves_another_folder_as_it_was(folders, module, target, said):
    folder = folders[target]
    before = contents(folder)
    arguments = [CONFIG, f"--config.data.dir={folders['movies']}", f"--workdir={folder}"]
    grid = ["--grid", "seed=0"] if module == "mmgenre.sweep" else []
    process = run_module(module, *arguments, *grid)
    assert process.returncode == 2, process.stderr
    assert f"error: {folder} {said}" in process.stderr
    assert "choose" in process.stderr
    assert contents(folder) == before


def test_preparation_leaves_another_folder_as_it_was(folders, raw_movies, tmp_path):
    prepare = ["--metadata", raw_movies[0], "--posters", raw_movies[1]]
    new = tmp_path / "new"
    cases = [
        ([*prepare, "--out", folders["run"]], folders["run"], "is a run, not a prepared data set"),
        ([*prepare, "--out", folders["bundle"]], folders["bundle"], "is an exported bundle, not"),
        ([*prepare, "--out", folders["sweep"]], folders["sweep"], "is a sweep, not"),
        ([*prepare, "--out", folders["notes"]], folders["notes"], "is not empty and not a"),
        ([*prepare, "--out", raw_movies[0]], raw_movies[0].parent, "is a file"),
        ([*prepare, "--out", new, "--work", folders["run"]], folders["run"], "is a run, not a"),
        ([*prepare, "--out", new, "--work", new], new, "which is --out, too"),
    ]
    before = [contents(folder) for _, folder, _ in cases]
    results = run_several("data_prep.prepare", [arguments for arguments, _, _ in cases])
    for (code, _, errors), (_, _, said) in zip(results, cases, strict=True):
        assert code == 2, errors
        assert said in errors
        assert len(errors.splitlines()) == 1
    assert [contents(folder) for _, folder, _ in cases] == before


def test_results_overwrite_no_file(folders):
    run, movies = folders["run"], folders["movies"]
    before = contents(run)
    out = ["--out", run / "config.json"]
    for module, arguments in (
        ("mmgenre.evaluate", ["--run", run, "--data", movies, *out]),
        ("mmgenre.baselines", ["--data", movies, *out]),
    ):
        process = run_module(module, *arguments)
        assert process.returncode == 2
        assert "config.json exists; remove it or choose another --out" in process.stderr
    assert contents(run) == before
