"""`mmgenre <command>`: all commands under one name, help, completion, and the list of runs."""

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmgenre import __version__, settings_help
from mmgenre.__main__ import COMMANDS
from mmgenre.config import Config
from mmgenre.config_values import settings
from mmgenre.machine import file_lock
from mmgenre.runs import listing
from tests.commands import ROOT, environment, run_module, run_several

ARGPARSE = [name for name in COMMANDS if name != "train"]


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each command prints for --help, in one process."""
    # Both import what `train` runs, which defines the same flags: in a process of their own.
    others = ["sweep", "review"]
    names = [name for name in COMMANDS if name not in others]
    found = run_several("mmgenre", [[name, "--help"] for name in names])
    found += run_several("mmgenre", [[name, "--help"] for name in others])
    assert [code for code, _, _ in found] == [0] * len(COMMANDS), found
    return {name: out for name, (_, out, _) in zip([*names, *others], found, strict=True)}


def test_the_names_of_the_issue_and_of_the_console_script():
    bare, version, typo = run_several("mmgenre", [[], ["--version"], ["trian"]])
    assert bare[0] == 0
    assert re.findall(r"^  (\w+)", bare[1], re.MULTILINE) == list(COMMANDS)
    assert tuple(version) == (0, f"mmgenre {__version__}\n", "")
    assert tuple(typo) == (2, "", "error: there is no command 'trian'; do you mean train?\n")
    assert 'mmgenre = "mmgenre.__main__:run"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ARGPARSE)
def test_help_calls_the_command_as_it_was_called(helps, name):
    assert helps[name].startswith(f"usage: mmgenre {name} ")
    assert f"python -m {COMMANDS[name][0]}" not in helps[name]


@pytest.mark.parametrize("name", ARGPARSE)
def test_each_line_of_help_stands_on_its_own(name, monkeypatch):
    """Not "of the posters" behind an option, nor nothing at all."""
    parsers = []
    original = argparse.ArgumentParser.parse_known_args

    def keep(self, args=None, namespace=None):
        parsers.append(self)
        return original(self, ["--help"], namespace)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", keep)
    monkeypatch.setattr("sys.argv", [name, "--help"])
    module = __import__(COMMANDS[name][0], fromlist=["main"])
    if module.__name__ in tuple(
        f"mmgenre.{room}" for room in ("report", "review", "runs", "sweep")
    ):
        module = __import__(f"{module.__name__}.__main__", fromlist=["main"])
    with pytest.raises(SystemExit):
        module.main()
    actions = parsers[0]._actions
    assert len(actions) > 1
    for action in actions:
        assert action.help, action
        assert not re.match(r"(of|for|in|to|that|default|as|kept)\b", action.help), action.help


def test_train_help_has_every_setting_with_its_value(helps):
    defaults, of_model2 = (
        helps["train"],
        run_several("mmgenre", [["train", "--config", "configs/model2.py", "--help"]])[0][1],
    )
    for name, setting in settings(Config).items():
        assert f"\n  --config.{name}={settings_help.written(setting.default)}\n" in defaults
        assert not re.match(r"(Of|For|Rate|That)\b", setting.doc), setting.doc
        if isinstance(setting.default, tuple):  # As ml_collections reads them.
            assert ast.literal_eval(settings_help.written(setting.default)) == setting.default
        words = " ".join(defaults.split())
        assert " ".join(setting.doc.split()) in words, name
    assert "\n  --config.model.fusion=sum\n" in of_model2
    # Options and settings fit into a terminal.
    options = defaults[defaults.index("\n  --config") :]
    assert max(map(len, options.splitlines())) <= 80


def test_the_page_of_settings_is_up_to_date():
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_help.as_page(), "run python -m mmgenre.settings_help docs/settings.md"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mmgenre ev", {"evaluate"}),
        ("mmgenre evaluate --split ", {"train", "validation", "test"}),
        ("mmgenre train --config ", {"model0", "model1", "model2"}),
        ("mmgenre train --config.model.fus", {"--config.model.fusion"}),
    ],
)
def test_completion(line, expected, tmp_path):
    out = tmp_path / "completions"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    process = subprocess.run(
        [sys.executable, "-m", "mmgenre"],
        env=environment() | asked,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert expected <= {word.strip() for word in out.read_text().split("\n")}


def test_completion_scripts_name_the_command():
    scripts = run_several("mmgenre", [["completion", name] for name in ("bash", "zsh", "fish")])
    for code, out, _ in scripts:
        assert code == 0 and "mmgenre" in out


def test_the_list_of_runs(tiny_run, tmp_path):
    for name in ("done", "stopped", "damaged", "busy"):
        shutil.copytree(tiny_run.path, tmp_path / "runs" / "some" / name)
    (tmp_path / "runs" / "some" / "stopped" / "evaluation-test.json").unlink()
    (tmp_path / "runs" / "some" / "damaged" / "config.json").write_text('{"model": {}, "data": 1}')
    (tmp_path / "runs" / "empty").mkdir()
    with file_lock.held(tmp_path / "runs" / "some" / "busy" / "lock"):
        process = run_module("mmgenre", "runs", tmp_path / "runs", "--json")
        assert process.returncode == 0, process.stderr
    runs = {Path(run["path"]).name: run for run in map(json.loads, process.stdout.splitlines())}
    assert {name: run["state"] for name, run in runs.items()} == {
        "busy": "training",
        "damaged": "damaged",
        "done": "finished",
        "stopped": "stopped",
    }
    done = runs["done"]
    assert done["config"] == tiny_run.load_config().name and done["dataset"] == "tiny"
    rows = [json.loads(line) for line in tiny_run.metrics_file.read_text().splitlines()]
    scores = [row["validation/average_precision/macro"] for row in rows if "epoch/seconds" in row]
    assert done["score"] == max(scores) and done["epoch"] == len(scores)
    evaluation = json.loads((tiny_run.path / "evaluation-test.json").read_text())
    micro = evaluation["operating_points"]["for micro F1"]["f1"]["micro"]
    assert done["test_f1"] == micro and runs["stopped"]["test_f1"] is None
    assert done["size"] == sum(
        f.stat().st_size for f in Path(tiny_run.path).rglob("*") if f.is_file()
    )
    shown = run_module("mmgenre.runs", tmp_path / "runs").stdout
    assert shown.count("finished") == 2 and f"{micro:.3f}" in shown
    assert not list(listing.find(tmp_path / "runs" / "empty"))


def test_no_folder_of_runs(tmp_path):
    process = run_module("mmgenre", "runs", tmp_path / "nowhere")
    assert process.returncode == 2
    assert process.stderr == (
        f"error: there is no folder {tmp_path}/nowhere; runs are in the --workdir of a training\n"
    )
