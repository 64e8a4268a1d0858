"""Prepared data sets of strangers: refused in a line, in bounded time and memory.

Each case changes a few bytes of a whole data set. `data_prep.verify` must report it (exit code 1 or
2) and `open_dataset` or the reading of the index must refuse it, unless it is named as harmless.
"""

import dataclasses
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_prep.verify import verify
from mmgenre.dataset.prepared import open_dataset
from mmgenre.dataset.record_reader import ShardReader
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import OverviewTokenizer
from tests.hostile.bounded import run_bounded

Change = Callable[[Path], None]


@pytest.fixture
def folder(tiny_dataset, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_dataset.path, tmp_path / "data"))


def info(**fields: object) -> Change:
    """Changes fields of dataset.json."""

    def change(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def split_info(**fields: object) -> Change:
    """Changes fields of the train split in dataset.json."""

    def change(folder: Path) -> None:
        path = folder / "dataset.json"
        value = json.loads(path.read_text())
        value["splits"]["train"] |= fields
        path.write_text(json.dumps(value))

    return change


def text(name: str, content: str | bytes) -> Change:
    def change(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)

    return change


def index(**arrays: np.ndarray) -> Change:
    """Changes arrays of the train split in the record index."""

    def change(folder: Path) -> None:
        path = folder / "record_index.npz"
        with np.load(path) as file:
            values = dict(file)
        for name, change_array in arrays.items():
            values[f"train/{name}"] = change_array(values[f"train/{name}"])
        np.savez(path, **values)

    return change


def members(
    change_member: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED
) -> Change:
    """Changes the bytes of the record index's members."""

    def change(folder: Path) -> None:
        path = folder / "record_index.npz"
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in contents.items():
                archive.writestr(name, change_member(name, data))

    return change


def claims(shape: tuple[int, ...], dtype: str = "<i4") -> bytes:
    """An array's header that claims a shape, with nothing behind it."""
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()


def patch(name: str, place: float, flip: int = 0xFF) -> Change:
    """Flips one byte, at a share of the file's length."""

    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[int(place * (len(data) - 1))] ^= flip
        (folder / name).write_bytes(data)

    return change


def cut(name: str, share: float) -> Change:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(share * len(data))])

    return change


def tokenizer(**parts: object) -> Change:
    """Changes parts of tokenizer.json, and its digest in dataset.json with it."""

    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | parts))

    return change


DEEP = "[" * 100_000
BOMB = zipfile.ZIP_DEFLATED
CHANGES: dict[str, Change] = {
    "json of another form": text("dataset.json", "[]"),
    "json of a number": text("dataset.json", "7"),
    "json too deep": text("dataset.json", DEEP),
    "json too deep within": text("dataset.json", '{"splits":' + DEEP),
    "json empty": text("dataset.json", ""),
    "json no utf-8": text("dataset.json", b"\xff\xfe{}"),
    "json cut": cut("dataset.json", 0.7),
    "splits of another form": info(splits=[1, 2]),
    "splits of texts": info(splits={"train": "all"}),
    "unknown split": info(splits={"../../etc": {}}),
    "name of another form": info(name={"a": 1}),
    "genres of another form": info(genres=18),
    "genres of numbers": info(genres=list(range(18))),
    "a million genres": info(genres=["g"] * 1_000_000),
    "vocabulary of minus one": info(vocabulary_size=-1),
    "vocabulary of text": info(vocabulary_size="many"),
    "version of text": info(schema_version="one"),
    "another field": info(extra="field"),
    "trillions of movies": split_info(num_movies=10**12),
    "movies of minus one": split_info(num_movies=-1),
    "movies of a fraction": split_info(num_movies=1.5),
    "movies of infinity": split_info(num_movies=float("inf")),
    "a million shards": split_info(shard_sizes=[0] * 1_000_000),
    "shards of text": split_info(shard_sizes="abc"),
    "shards of minus one": split_info(shard_sizes=[-1, -1, -1]),
    "a shard of 2^70": split_info(shard_sizes=[1 << 70]),
    "counts missing": split_info(genre_counts=[]),
    "index empty": text("record_index.npz", ""),
    "index of text": text("record_index.npz", "PK\x03\x04 and so on"),
    "index cut at a tenth": cut("record_index.npz", 0.1),
    "index cut at a half": cut("record_index.npz", 0.5),
    "index cut near its end": cut("record_index.npz", 0.99),
    "index claims 10^12 rows": members(lambda name, data: claims((10**12,))),
    "index claims many axes": members(lambda name, data: claims((1,) * 30)),
    "index claims objects": members(lambda name, data: claims((10,), "|O")),
    "index claims texts": members(lambda name, data: claims((10,), "<U1000000")),
    "index is inflated": members(lambda name, data: data[:128] + bytes(1 << 26), BOMB),
    "index has a long header": members(
        lambda name, data: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 1000
    ),
    "index of format 9": members(lambda name, data: b"\x93NUMPY\x09" + data[7:]),
    "index without members": members(lambda name, data: b""),
    "offsets behind the end": index(offset=lambda x: x + (1 << 60)),
    "offsets before the start": index(offset=lambda x: x - (1 << 40)),
    "records too long": index(num_bytes=lambda x: np.full_like(x, 2**31 - 1)),
    "records of no bytes": index(num_bytes=lambda x: x * 0),
    "shards that are not there": index(shard=lambda x: x + 1000),
    "shard numbers below none": index(shard=lambda x: x - 1),
    "tokens of minus one": index(num_tokens=lambda x: x * 0 - 5),
    "billions of tokens": index(num_tokens=lambda x: np.full_like(x, 2_000_000_000)),
    "tokenizer gone": lambda folder: (folder / "tokenizer.json").unlink(),
    "tokenizer changed": tokenizer(version="2.0"),
    "a shard gone": lambda folder: next(folder.glob("*train.tfrecord*")).unlink(),
    "a shard cut": lambda folder: os.truncate(next(folder.glob("*train.tfrecord*")), 1000),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_data_set_is_refused(folder, name):
    CHANGES[name](folder)
    with pytest.raises(UserError) as refused:
        dataset = open_dataset(folder)
        for split in dataset.info.splits:
            ShardReader(dataset, split).check(range(1))
    assert len(str(refused.value)) < 1_000


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_verify_reports_a_changed_data_set(folder, name):
    CHANGES[name](folder)
    result = run_bounded("data_prep.verify", folder, "--progress", "none")
    assert result.returncode in (1, 2), result.stdout
    assert "Traceback" not in result.stderr
    if result.returncode == 2:
        assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_byte_in_the_index_is_refused_or_harmless(tiny_dataset, folder, seed):
    """Whatever a flipped byte does, no other record is read in silence, and nothing else breaks."""
    rng = np.random.default_rng(seed)
    patch("record_index.npz", rng.random(), 1 << int(rng.integers(8)))(folder)
    try:
        dataset = open_dataset(folder)
        reader = ShardReader(dataset, "train")
        reader.check(range(len(dataset.index("train"))))
    except UserError:
        return
    for name, array in dataclasses.asdict(dataset.index("train")).items():
        np.testing.assert_array_equal(array, getattr(tiny_dataset.index("train"), name))


CHECKSUMS: dict[str, str] = {
    "a device": "/dev/zero",
    "a relative device": "../../../../../../../dev/zero",
    "a folder": ".",
    "nothing": "",
    "a file of others": "/etc/passwd",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksums_name_files_of_the_data_set_only(folder, name):
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  {CHECKSUMS[name]}\n")
    result = run_bounded("data_prep.verify", folder, "--progress", "none")
    assert result.returncode == 1
    assert "is no file of the data set" in result.stdout


@pytest.mark.parametrize(
    "name", ["dataset.json", "record_index.npz", "tokenizer.json", "SHA256SUMS", "more"]
)
def test_a_pipe_or_a_link_to_a_device_is_not_waited_for(folder, name):
    """With a bound on the time: opening a pipe that nobody writes to takes for ever."""
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for read in (open_dataset, verify):
        with pytest.raises(UserError, match=f"^{folder / name} is no ordinary file"):
            read(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    for read in (open_dataset, verify):
        with pytest.raises(UserError, match=f"^{folder / name} is no ordinary file"):
            read(folder)


@pytest.mark.parametrize("name", ["config.json", "thresholds.json", "checkpoints/pipe"])
def test_a_pipe_in_a_run_is_not_waited_for(tmp_path, name):
    (tmp_path / "checkpoints").mkdir()
    os.mkfifo(tmp_path / name)
    result = run_bounded("mmgenre.predict", "--run", tmp_path, "--overview", "x", gigabytes=40)
    assert result.returncode == 2
    assert result.stderr == f"error: {tmp_path / name} is no ordinary file; remove it\n"


def replaced(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


TOKENIZERS: dict[str, dict[str, object]] = {
    "growing replacements": {"normalizer": replaced(".", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
    "a chain of replacements": {
        "normalizer": {"type": "Sequence", "normalizers": [replaced("x", "x" * 64)] * 32}
    },
    "a slow expression": {"normalizer": replaced("(a*)*b", "")},
    "endless padding": {
        "padding": {
            "strategy": {"Fixed": 2_000_000_000},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        }
    },
    "truncation": {
        "truncation": {
            "direction": "Right",
            "max_length": 1,
            "strategy": "LongestFirst",
            "stride": 0,
        }
    },
    "another model": {"model": {"type": "BPE", "vocab": {}, "merges": []}},
    "no model": {"model": None},
    "no words": {"model": {"type": "WordLevel", "vocab": {}, "unk_token": "[UNK]"}},
    "a vocabulary of lists": {"model": {"type": "WordLevel", "vocab": [1], "unk_token": "[UNK]"}},
    "ids apart": {
        "model": {
            "type": "WordLevel",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 4_000_000_000},
            "unk_token": "[UNK]",
        }
    },
    "ids twice": {
        "model": {
            "type": "WordLevel",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 1},
            "unk_token": "[UNK]",
        }
    },
    "added words": {"added_tokens": [{"id": 5, "content": "x", "special": True}]},
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_only_tokenizers_of_this_program_are_read(folder, name):
    tokenizer(**TOKENIZERS[name])(folder)
    with pytest.raises(UserError, match=r"tokenizer.json"):
        OverviewTokenizer.load(folder / "tokenizer.json")


@pytest.mark.parametrize(
    "content", [DEEP, "{", "null", '{"model": 1}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_damaged_tokenizers_are_refused(tmp_path, content):
    text("tokenizer.json", content)(tmp_path)
    with pytest.raises(UserError, match=r"tokenizer.json"):
        OverviewTokenizer.load(tmp_path / "tokenizer.json")
