"""Links in folders that came from elsewhere: what they point at is neither changed nor deleted."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.runs import lock
from mmgenre.runs.directory import RunDirectory
from tests.commands import ROOT, run_module, run_several
from tests.movie_files import make

CONFIG = f"{ROOT / 'configs' / 'model1.py'}:trial"
LINKS = ("a link to a file", "a link to a folder", "a dangling link")


def contents(folder: Path) -> dict[str, str]:
    """All that is below a folder; links by what they name."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path)
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else ""
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def others(tmp_path) -> Path:
    """A folder of somebody's, full of what a command might take for its own."""
    folder = tmp_path / "others"
    for name in (
        "7.txt",
        "0000099.npz",
        "00099.npz",
        "1",
        ".x.0123abcd.tmp",
        "lock",
        "mmgenre-train.tfrecord-00000-of-00001",
        "events.out.tfevents.1",
        "2/precious",
        "train/precious",
        "incoming/3",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    return folder


def target(others: Path, kind: str) -> Path:
    return {
        "a link to a file": others / "7.txt",
        "a link to a folder": others,
        "a dangling link": others / "none",
    }[kind]


def plant(place: Path, target: Path) -> None:
    """Puts a link in the place of a file or folder."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def all_refuse(
    module: str, commands: list[list[object]], places: list[Path], others: Path, before: object
) -> None:
    """Runs the commands, each of which must name its link in a line; nobody's files change."""
    results = run_several(module, commands)
    for (code, _, errors), place in zip(results, places, strict=True):
        assert code == 2, errors
        assert errors.startswith(f"error: {place} is a symbolic link"), errors
        assert errors.count("\n") == 1
    assert contents(others) == before


WORKSPACE = (
    ".work",
    ".work/lock",
    ".work/movies.jsonl",
    ".work/posters",
    ".work/posters/00099.npz",
    ".work/images",
    ".work/images/0123456789ab/incoming",
    ".work/images/0123456789ab/w154",
    ".work/beam",
    ".work/beam/train",
    ".work/.x.0123abcd.tmp",
    ".x.0123abcd.tmp",
    "record_index.npz",
    "tokenizer.json",
    "mmgenre-train.tfrecord-00000-of-00001",
    "mmgenre-train.tfrecord-00007-of-00009",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[list[object], Path]:
    """The options of a preparation, and its folder, workspace and all."""
    folder = tmp_path_factory.mktemp("linked")
    metadata, posters = make(folder, 40, range(1, 30))
    options = ["--metadata", metadata, "--posters", posters, "--progress", "none"]
    ((code, _, errors),) = run_several("data_prep.prepare", [[*options, "--out", folder / "out"]])
    assert code == 0, errors
    return options, folder / "out"


@pytest.mark.parametrize("kind", LINKS)
def test_preparing_refuses_links(kind, prepared, others, tmp_path):
    options, whole = prepared
    before = contents(others)
    commands, places = [], []
    for number, name in enumerate(WORKSPACE):
        out = Path(shutil.copytree(whole, tmp_path / f"out{number}"))
        plant(out / name, target(others, kind))
        places.append(out / name)
        commands.append([*options, "--out", out])
    # A workspace of its own, and one on a folder that is a link because the user wants it so.
    work = Path(shutil.copytree(whole / ".work", tmp_path / "work"))
    plant(work / "posters", target(others, kind))
    places.append(work / "posters")
    commands.append([*options, "--out", tmp_path / "new", "--work", work])
    all_refuse("data_prep.prepare", commands, places, others, before)


def test_folders_that_the_user_names_may_be_links(prepared, tmp_path):
    options, _ = prepared
    for name in ("out", "work"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    command = [*options, "--out", tmp_path / "out", "--work", tmp_path / "work"]
    for code, _, errors in run_several("data_prep.prepare", [command, command]):
        assert code == 0, errors
    assert (tmp_path / "disk" / "out" / "dataset.json").exists()


RUN = ("lock", "log.txt", "checkpoints", "checkpoints/1", "tensorboard", "damaged-checkpoints")


def planted_runs(tiny_run: RunDirectory, folder: Path, within: str, link: Path) -> list[Path]:
    """Copies of a run, each with a link in another place; returns the places."""
    places = []
    for number, name in enumerate(RUN):
        run = folder / f"workdir{number}" / within
        shutil.copytree(tiny_run.path, run)
        plant(run / name, link)
        places.append(run / name)
    return places


@pytest.mark.parametrize("kind", LINKS)
def test_a_run_with_links_is_not_gone_on_with(kind, tiny_run, others, tmp_path):
    before = contents(others)
    for place in planted_runs(tiny_run, tmp_path, "", target(others, kind)):
        run = epath.Path(tmp_path / place.relative_to(tmp_path).parts[0])
        with pytest.raises(UserError, match=f"^{place} is a symbolic link"), lock.held(run):
            pass
    assert contents(others) == before


def test_training_refuses_links(tiny_run, others, tmp_path):
    before = contents(others)
    place = planted_runs(tiny_run, tmp_path, "", others)[2]
    arguments = [f"--config={CONFIG}", f"--workdir={place.parent}"]
    data = f"--config.data.dir={tiny_run.load_dataset_info()[1]}"
    result = run_module("mmgenre.main", *arguments, data)
    assert result.returncode == 2
    assert f"error: {place} is a symbolic link" in result.stderr
    assert contents(others) == before


@pytest.mark.parametrize(("kind", "number"), [*zip(LINKS, (0, 2, 5), strict=True)])
def test_a_sweep_refuses_links(kind, number, tiny_run, others, tmp_path):
    before = contents(others)
    place = planted_runs(tiny_run, tmp_path, "seed=0", target(others, kind))[number]
    workdir = tmp_path / f"workdir{number}"
    (workdir / "results.json").write_text('{"axes": {}, "points": []}')
    data = f"--config.data.dir={tiny_run.load_dataset_info()[1]}"
    arguments = [f"--config={CONFIG}", data, f"--workdir={workdir}", "--grid", "seed=0"]
    result = run_module("mmgenre.sweep", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {place} is a symbolic link"), result.stderr
    assert contents(others) == before


@pytest.mark.slow
def test_a_report_replaces_a_link_and_not_what_it_points_at(tiny_run, others, tmp_path):
    before = contents(others)
    run = Path(shutil.copytree(tiny_run.path, tmp_path / "run"))
    plant(run / "report-figures", others)
    plant(run / "report.html", others / "7.txt")
    ((code, _, errors),) = run_several("mmgenre.report", [["--run", run]])
    assert code == 0, errors
    assert contents(others) == before
    assert not (run / "report-figures").is_symlink() and not (run / "report.html").is_symlink()
    assert (run / "report-figures").is_dir()


def test_new_files_and_folders_are_not_written_through_links(tiny_run, others, tmp_path):
    before = contents(others)
    table = tmp_path / "movies.csv"
    table.write_text("overview\nA boy finds a map\n")
    names = ("bundle", "out.csv", "why.html", "again.csv.partial")
    links = (others, others / "none", others / "7.txt", others / "7.txt")
    for name, link in zip(names, links, strict=True):
        plant(tmp_path / name, link)
    run: list[object] = ["--run", tiny_run.path]
    predict = [
        [*run, "--csv", table, "--out", tmp_path / "out.csv"],
        [*run, "--overview", "x", "--explain", tmp_path / "why.html"],
        [*run, "--csv", table, "--out", tmp_path / "again.csv"],
    ]
    results = [
        *run_several("mmgenre.export", [[*run, "--out", tmp_path / "bundle"]]),
        *run_several("mmgenre.predict", predict),
        *run_several("data_prep.demo_corpus", [["--out", tmp_path / "bundle", "--movies", 1]]),
    ]
    said = ("exists", "exists", "exists", "is a symbolic link", "exists")
    for (code, _, errors), words in zip(results, said, strict=True):
        assert code == 2 and words in errors and errors.count("\n") == 1, errors
    assert contents(others) == before


def test_only_what_the_program_made_is_swept_away(tmp_path, others):
    """Files of the user's own that look much like it, and links of the very name."""
    before = contents(others)
    folder = tmp_path / "folder"
    folder.mkdir()
    mine = [".notes.tmp", ".x.0123ABCD.tmp", ".x.012.tmp", ".0123abcd.tmp"]
    for name in mine:
        (folder / name).write_text("mine")
    (folder / ".a.0123abcd.tmp").symlink_to(others)
    (folder / ".b.0123abcd.tmp").symlink_to(others / "7.txt")
    (folder / ".c.0123abcd.tmp").symlink_to(others / "none")
    (folder / ".d.0123abcd.tmp").mkdir()
    (folder / ".d.0123abcd.tmp" / "link").symlink_to(others)
    files.sweep(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(mine)
    (folder / ".made.0123abcd.tmp").symlink_to(others)
    (folder / "made").symlink_to(others)
    with files.atomic_folder(folder / "made", renew=True) as made:
        (made / "file").write_text("new")
    assert [path.name for path in (folder / "made").iterdir()] == ["file"]
    assert contents(others) == before
