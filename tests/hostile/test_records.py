"""Records with right checksums that say what no record may: every reader names shard and record."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.shards.example import Example
from data_prep.shards.records import Record
from data_prep.verify import verify
from mmgenre.dataset import record_check, tfrecord
from mmgenre.dataset.batch_plan import plan_evaluation
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.prepared import RecordIndex, open_dataset, write_index
from mmgenre.dataset.read_split import read_split
from mmgenre.dataset.record_reader import check_share
from mmgenre.errors import UserError
from tests.commands import ROOT
from tests.hostile.bounded import run_bounded

Change = Callable[[Any], None]
"""Changes the features of an Example."""

RECORD = 4
"""In its shard."""


def without(name: str) -> Change:
    return lambda feature: feature.pop(name)


def ints(name: str, *values: int) -> Change:
    def change(feature: Any) -> None:
        feature[name].Clear()
        feature[name].int64_list.value.extend(values)

    return change


def texts(name: str, *values: bytes) -> Change:
    def change(feature: Any) -> None:
        feature[name].Clear()
        feature[name].bytes_list.value.extend(values)

    return change


def floats(name: str) -> Change:
    def change(feature: Any) -> None:
        feature[name].Clear()
        feature[name].float_list.value.append(0.5)

    return change


def more_tokens(feature: Any) -> None:
    feature["tokens"].int64_list.value.append(1)


FEATURES = ("poster", "has_poster", "tokens", "labels", "id", "title", "overview")
CHANGES: dict[str, Change] = {
    **{f"no {name}": without(name) for name in FEATURES if name != "tokens"},
    **{f"{name} of floats": floats(name) for name in FEATURES},
    "a poster of numbers": ints("poster", 1, 2),
    "labels of text": texts("labels", b"Drama"),
    "a small poster": texts("poster", b"x"),
    "a poster twice as large": texts("poster", bytes(2 * 12288)),
    "two posters": texts("poster", bytes(12288), bytes(12288)),
    "no poster in the list": texts("poster"),
    "two flags": ints("has_poster", 1, 1),
    "a flag of 2": ints("has_poster", 2),
    "too few labels": ints("labels", 1),
    "too many labels": ints("labels", *[1] * 19),
    "labels of 7": ints("labels", *[7] * 18),
    "labels of -1": ints("labels", *[-1] * 18),
    "one token more": more_tokens,
    "a title that is no UTF-8": texts("title", b"\xff\xfe"),
    "an overview that is no UTF-8": texts("overview", b"\xc3\x28"),
    "two ids": texts("id", b"1", b"2"),
}
TOKENS: dict[str, Callable[[int], int]] = {
    "tokens outside of the vocabulary": lambda token: 10**9,
    "tokens of 2^40": lambda token: 2**40,
    "negative tokens": lambda token: -5,
    "tokens that are padding": lambda token: 0,
}


def replaced_tokens(new: Callable[[int], int]) -> Change:
    def change(feature: Any) -> None:
        values = feature["tokens"].int64_list.value
        values[:] = [new(value) for value in values]

    return change


CHANGES |= {name: replaced_tokens(new) for name, new in TOKENS.items()}


def plant(folder: Path, split: str, change: Callable[[bytes], bytes]) -> Path:
    """Rewrites a record, and all that describes it: sizes, offsets and checksums fit."""
    dataset = open_dataset(folder)
    indices = {name: dataset.index(name) for name in dataset.info.splits}
    path = Path(dataset.shard_paths(split)[0])
    with path.open("rb") as file:
        records = [data for _, data in tfrecord.read(file)]
    records[RECORD] = change(records[RECORD])
    offsets = []
    with path.open("wb") as file:
        for data in records:
            offsets.append(file.tell() + tfrecord.HEADER_BYTES)
            tfrecord.write(file, data)
    fields = {key: value.copy() for key, value in dataclasses.asdict(indices[split]).items()}
    fields["offset"][: len(records)] = offsets
    fields["num_bytes"][RECORD] = len(records[RECORD])
    write_index(folder, indices | {split: RecordIndex(**fields)})
    info = json.loads((folder / "dataset.json").read_text())
    info["splits"][split]["shard_sizes"][0] = path.stat().st_size
    (folder / "dataset.json").write_text(json.dumps(info))
    return path


def changed(change: Change) -> Callable[[bytes], bytes]:
    def change_bytes(data: bytes) -> bytes:
        example = Example.FromString(data)
        change(example.features.feature)
        return example.SerializeToString()

    return change_bytes


@pytest.fixture
def folder(tiny_dataset, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_dataset.path, tmp_path / "data"))


def all_readers_name(folder: Path, path: Path, config: Any) -> None:
    """Each way to read a split says which record of which shard is no record of a movie."""
    dataset = open_dataset(folder)

    def stream() -> None:
        source = MovieSource(dataset, "test", dataclasses.replace(config, mode="stream"))
        plan = plan_evaluation(source.num_tokens, batch_size=16, bucket_lengths=(32, 64))
        for _ in source.batches(plan):
            pass

    said = f"the shard {path} is damaged: record {RECORD} at byte "
    for reader in (
        lambda: check_share(dataset, 0, 1),
        lambda: read_split(dataset, "test", "labels"),
        lambda: MovieSource(dataset, "test", dataclasses.replace(config, mode="host")),
        stream,
    ):
        with pytest.raises(UserError) as refused:
            reader()
        assert str(refused.value).startswith(said)
        assert len(str(refused.value)) < 1_000
    problems = verify(folder, processes=1)
    assert any(f"{path.name} record {RECORD}: " in problem for problem in problems), problems


@pytest.mark.parametrize("name", CHANGES)
def test_a_record_with_wrong_features_is_named(folder, tiny_config, name):
    path = plant(folder, "test", changed(CHANGES[name]))
    all_readers_name(folder, path, tiny_config.data)


@pytest.mark.parametrize("end", [b"\xff\xff\xff", b""], ids=["no message", "nothing behind"])
def test_a_record_that_is_no_example_is_named(folder, tiny_config, end):
    size = 13_000
    path = plant(folder, "test", lambda data: (b"\x0a\xff\xff\x7f" + data + end)[:size])
    all_readers_name(folder, path, tiny_config.data)


def test_records_that_are_sound_are_read(tiny_dataset):
    """One without an overview has no tokens at all."""
    check_share(tiny_dataset, 0, 1)
    records = [Record("1", "", "", np.eye(18, dtype=np.uint8)[0], np.empty(0, np.int32), None)]
    assert record_check.first_problem([r.serialise() for r in records], np.zeros(1), 9, 18) is None


COMMANDS: dict[str, tuple[str, list[str]]] = {
    "training": (
        "mmgenre.main",
        [
            f"--config={ROOT / 'configs' / 'model1.py'}:trial",
            "--config.data.dir={data}",
            "--workdir={out}/run",
        ],
    ),
    "evaluation": ("mmgenre.evaluate", ["--run={run}", "--data={data}", "--split=test"]),
    "baselines": ("mmgenre.baselines", ["--data={data}"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["no labels", "a small poster", "labels of 7", "negative tokens"])
def test_a_command_ends_in_one_line(folder, tiny_run, tmp_path, command, name):
    path = plant(folder, "test", changed(CHANGES[name]))
    run = shutil.copytree(tiny_run.path, tmp_path / "a-run")
    module, arguments = COMMANDS[command]
    filled = [text.format(data=folder, run=run, out=tmp_path) for text in arguments]
    result = run_bounded(module, *filled, gigabytes=40)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(lines) == 1
    assert lines[0].startswith(f"error: the shard {path} is damaged: record {RECORD} at byte ")
