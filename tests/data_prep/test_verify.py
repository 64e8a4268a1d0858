"""Verification finds every damage, and says where."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep.prepare import PrepareConfig, prepare
from data_prep.shards.example import Example
from data_prep.verify import verify
from mmgenre.dataset import tfrecord
from mmgenre.errors import UserError
from tests import movie_files
from tests.commands import run_module


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    files = movie_files.make(folder, 60, range(1, 41))
    prepare(PrepareConfig(*files, folder / "out", num_shards=2, progress="none"))
    shutil.rmtree(folder / "out" / ".work")
    return folder / "out"


@pytest.fixture
def dataset(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def test_all_well(whole):
    assert verify(whole, processes=1) == []
    done = run_module("data_prep.verify", whole)
    assert done.returncode == 0 and "all well: 43 train in 2 shards" in done.stdout


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_in_a_shard(dataset, seed):
    rng = random.Random(seed)
    shard = rng.choice(sorted(dataset.glob("mmgenre-*")))
    data = bytearray(shard.read_bytes())
    place = rng.randrange(len(data)) if seed else 3  # Once for certain in a length.
    with shard.open("rb") as file:
        starts = [offset for (_, offset), _, _ in tfrecord.scan(file)]
    record = int(np.searchsorted(starts, place, "right")) - 1
    data[place] ^= 1 << rng.randrange(8)
    shard.write_bytes(data)
    assert any(
        problem.startswith(f"{shard.name} record {record}: ") for problem in verify(dataset, 1)
    )


def test_a_flipped_byte_in_every_other_file(dataset):
    for path in sorted(dataset.iterdir()):
        if ".tfrecord" in path.name or path.name.startswith("."):
            continue
        data = path.read_bytes()
        path.write_bytes(data[:10] + bytes([data[10] ^ 1]) + data[11:])
        assert verify(dataset, 1), path.name
        path.write_bytes(data)
    assert verify(dataset, 1) == []


def test_a_short_a_missing_and_a_foreign_shard(dataset):
    first, second, *_ = sorted(dataset.glob("mmgenre-train*"))
    data = first.read_bytes()
    first.write_bytes(data[:-5])
    assert any("the file ends within the record" in problem for problem in verify(dataset, 1))
    first.write_bytes(data)
    second.rename(dataset / "mmgenre-train.tfrecord-00001-of-00009")
    problems = "\n".join(verify(dataset, 1))
    assert f"{second.name}: cannot be read" in problems and "does not belong" in problems


def _rewrite(shard, record, change):
    """Replaces one record by a changed one with fitting CRCs."""
    with shard.open("rb") as file:
        records = [data for _, data in tfrecord.read(file)]
    example = Example.FromString(records[record])
    change(example.features.feature)
    records[record] = example.SerializeToString(deterministic=True)
    with shard.open("wb") as file:
        for data in records:
            tfrecord.write(file, data)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f["tokens"].int64_list.value.append(10**6), "a token is outside"),
        (lambda f: f["tokens"].int64_list.value.insert(0, 0), "a token is outside"),
        (lambda f: f["tokens"].int64_list.value.insert(0, 2), "not those of the overview"),
        (lambda f: f["labels"].int64_list.value.append(1), "not 18 zeros and ones"),
        (lambda f: f["labels"].int64_list.value.__setitem__(0, 2), "not 18 zeros and ones"),
        (lambda f: f["has_poster"].int64_list.value.__setitem__(0, 7), "has_poster is"),
        (lambda f: f["poster"].bytes_list.value.__setitem__(0, b"xx"), "the poster has 2 bytes"),
        (lambda f: f["poster"].bytes_list.value.append(b""), "2 values instead of one"),
        (lambda f: f["id"].bytes_list.value.__setitem__(0, b""), "it has no id"),
        (lambda f: f["title"].bytes_list.value.__setitem__(0, b"\xff"), "not UTF-8"),
        (lambda f: f.pop("title"), "its features are"),
        (lambda f: f["labels"].bytes_list.value.append(b"x"), "of the wrong kind"),
    ],
)
def test_a_record_that_breaks_the_schema(dataset, change, message):
    shard = sorted(dataset.glob("mmgenre-test*"))[0]
    _rewrite(shard, 2, change)
    problems = verify(dataset, 1)
    assert any(p.startswith(f"{shard.name} record 2: ") and message in p for p in problems)


def test_leaks_are_found(dataset):
    train = sorted(dataset.glob("mmgenre-train*"))[0]
    test = sorted(dataset.glob("mmgenre-test*"))[0]
    with train.open("rb") as file:
        stolen = Example.FromString(next(tfrecord.read(file))[1]).features.feature

    def copy(feature):
        for name in ("overview", "tokens", "id"):
            feature[name].CopyFrom(stolen[name])

    _rewrite(test, 0, copy)
    problems = "\n".join(verify(dataset, 1))
    assert "leak: train and test share 1 movies by id" in problems
    assert "leak: train and test share 1 movies by overview" in problems
    assert "1 ids are there more than once" in problems


def test_no_data_set(tmp_path):
    with pytest.raises(UserError, match="not a prepared data set"):
        verify(tmp_path)
