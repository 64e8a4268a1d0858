"""Runs and bundles of strangers: whatever a file in them says, it is read, or refused in a line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgenre import schema
from mmgenre.dataset.prepared import open_dataset
from mmgenre.decisions.situations import SituationRules
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.prediction.bundle import read_manifest
from mmgenre.report.page import write_report
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows
from mmgenre.runs.sessions import read_sessions
from tests.hostile.mutations import DEEP, damaged, mutated

QUICK = 12
"""Examples of each kind by default."""
MANY = 300
"""In the slow tests."""

Reader = Callable[[Path], Any]


def run_of(folder: Path) -> RunDirectory:
    return RunDirectory.open(folder)


READERS: dict[str, Reader] = {
    "config.json": lambda folder: run_of(folder).load_config(),
    "dataset.json": lambda folder: run_of(folder).load_dataset_info(),
    "thresholds.json": lambda folder: SituationRules.load(folder, schema.GENRES),
    "tokenizer.json": lambda folder: OverviewTokenizer.load(folder / "tokenizer.json"),
    "sessions.jsonl": lambda folder: read_sessions(run_of(folder)),
    "metrics.jsonl": lambda folder: read_rows(run_of(folder).metrics_file),
}


@pytest.fixture(scope="module")
def folder(tiny_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a run, of which each test changes one file and puts it back."""
    return Path(shutil.copytree(tiny_run.path, tmp_path_factory.mktemp("stranger") / "run"))


def dump(value: Any, name: str) -> bytes:
    if name.endswith(".jsonl"):
        lines = value if isinstance(value, list) else [value]
        return "".join(json.dumps(line) + "\n" for line in lines).encode("utf-8", "replace")
    return json.dumps(value).encode("utf-8", "replace")


def load(path: Path) -> Any:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return json.loads(path.read_text())


def read(reader: Reader, folder: Path, name: str, data: bytes) -> None:
    """Reads a folder with one file changed: nothing but a UserError of one line may come of it."""
    original = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    try:
        reader(folder)
    except UserError as error:
        assert "\n" not in str(error).strip()
        assert len(str(error)) < 2_000
    finally:
        (folder / name).write_bytes(original)


def check(reader: Reader, folder: Path, name: str, num_examples: int) -> None:
    fuzzed = settings(
        max_examples=num_examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    value, content = load(folder / name), (folder / name).read_bytes()

    @fuzzed
    @given(st.data())
    def values(data: st.DataObject) -> None:
        read(reader, folder, name, dump(data.draw(mutated(value)), name))

    @fuzzed
    @given(damaged(content))
    def data_bytes(data: bytes) -> None:
        read(reader, folder, name, data)

    values()
    data_bytes()
    for data in (
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        DEEP.encode(),
        b'{"a":' + DEEP.encode(),
        b"\xff",
    ):
        read(reader, folder, name, data)


@pytest.mark.parametrize("name", READERS)
def test_whatever_a_file_of_a_run_says_it_is_read_or_refused(folder, name):
    check(READERS[name], folder, name, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_changes_to_a_file_of_a_run(folder, name):
    check(READERS[name], folder, name, MANY)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "evaluation-test.json",
        "movies-test.json",
        "predictions-test.npz",
        "thresholds.json",
        "sessions.jsonl",
        "metrics.jsonl",
    ],
)
def test_a_report_of_a_changed_run_is_written_or_refused(folder, name, tmp_path):
    numbers = iter(range(10_000))

    def reader(folder: Path) -> None:
        write_report([folder], tmp_path / f"{next(numbers)}.html")

    if name.endswith(".npz"):
        content = (folder / name).read_bytes()

        @settings(max_examples=MANY // 10, deadline=None, derandomize=True, database=None)
        @given(damaged(content))
        def data_bytes(data: bytes) -> None:
            read(reader, folder, name, data)

        data_bytes()
    else:
        check(reader, folder, name, MANY // 30)


def test_whatever_a_data_set_says_of_itself_it_is_read_or_refused(tiny_dataset, tmp_path):
    folder = Path(shutil.copytree(tiny_dataset.path, tmp_path / "data"))

    def reader(folder: Path) -> None:
        dataset = open_dataset(folder)
        for split in dataset.info.splits:
            dataset.index(split)

    check(reader, folder, "dataset.json", 2 * QUICK)


def test_whatever_a_manifest_says_it_is_read_or_refused(folder, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.stablehlo").write_bytes(b"x")
    manifest = {
        "format_version": 1,
        "name": "x",
        "step": 1,
        "genres": ["Action"],
        "thresholds": [0.5],
        "max_tokens": 64,
        "platforms": ["cpu"],
        "files": {"model.stablehlo": "0" * 64},
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    check(read_manifest, bundle, "bundle.json", 2 * QUICK)
