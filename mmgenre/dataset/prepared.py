"""The form of a prepared data set on disk, and how to open one.

    dataset_info.json, features.json          TFDS metadata, for `tfds.builder_from_directory`
    mmgenre-<split>.tfrecord-00000-of-00008   the movies, one `tf.train.Example` each
    tokenizer.json                            the tokenizer that made the `tokens`
    dataset.json                              `DatasetInfo`: name, counts, fingerprints
    record_index.npz                          `RecordIndex` of each split: where each record starts
    audit.json                                what preparation kept and dropped, and why

The record index makes the shards readable at random, so that one permutation of record numbers
decides the order of training, whatever storage the movies are read from. NumPy only.
"""

import dataclasses
import hashlib
import json
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files

SCHEMA_VERSION: Final = 1
"""Raised whenever a reader of older data sets would misread newer ones."""

INFO_FILE: Final = "dataset.json"
INDEX_FILE: Final = "record_index.npz"
TOKENIZER_FILE: Final = "tokenizer.json"
AUDIT_FILE: Final = "audit.json"
_INDEX_FIELDS: Final = ("shard", "offset", "num_bytes", "num_tokens")


def shard_name(split: str, shard: int, num_shards: int) -> str:
    """The file name of a shard, as TFDS writes it."""
    return f"mmgenre-{split}.tfrecord-{shard:05d}-of-{num_shards:05d}"


@dataclasses.dataclass(frozen=True)
class RecordIndex:
    """Where the records of one split are, in the order of the shards.

    Attributes:
      shard: <int32>[num_movies], number of the shard that holds the record.
      offset: <int64>[num_movies], bytes from the start of the shard to the record's Example (after
        the 12 bytes of TFRecord framing that precede it).
      num_bytes: <int32>[num_movies], size of the Example.
      num_tokens: <int32>[num_movies], tokens of the overview, before the input pipeline truncates.
    """

    shard: np.ndarray
    offset: np.ndarray
    num_bytes: np.ndarray
    num_tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: how many movies, in which files, with how many of each genre.

    Attributes:
      num_movies: movies in the split.
      shard_sizes: bytes of each shard file, to find missing or truncated shards at start.
      genre_counts: movies of each genre, in the order of `schema.GENRES`.
    """

    num_movies: int
    shard_sizes: tuple[int, ...]
    genre_counts: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What a reader must know about a prepared data set before reading a record.

    Attributes:
      name: what to call the data set in logs and reports; the built-in one is called "demo corpus".
      schema_version: `SCHEMA_VERSION` of the writer.
      tokenizer_sha256: of the bytes of `tokenizer.json`.
      vocabulary_size: ids in the tokenizer.
      genres: `schema.GENRES` of the writer.
      splits: by name; a split without movies is absent.
      fingerprint: SHA-256 over the records' contents, in order; equal for equal data sets.
    """

    name: str
    schema_version: int
    tokenizer_sha256: str
    vocabulary_size: int
    genres: tuple[str, ...]
    splits: dict[str, SplitInfo]
    fingerprint: str

    def to_json(self) -> str:
        """The text of `INFO_FILE`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError, KeyError or TypeError where `text` is not what `to_json` writes."""
        fields: dict[str, Any] = json.loads(text)
        splits = {
            name: SplitInfo(
                num_movies=int(split["num_movies"]),
                shard_sizes=tuple(map(int, split["shard_sizes"])),
                genre_counts=tuple(map(int, split["genre_counts"])),
            )
            for name, split in fields.pop("splits").items()
        }
        return cls(**{**fields, "genres": tuple(fields["genres"])}, splits=splits)


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """An opened data set: `info`, and paths to the rest. Made by `open_dataset`."""

    path: epath.Path
    info: DatasetInfo

    @property
    def tokenizer_path(self) -> epath.Path:
        """The tokenizer's file."""
        return self.path / TOKENIZER_FILE

    def split(self, name: str) -> SplitInfo:
        """Returns the split's info; raises UserError where the data set has no such split."""
        if name not in self.info.splits:
            raise UserError(
                f"the data set {self.path} has no split {name!r}; "
                f"it has {', '.join(self.info.splits)}"
            )
        return self.info.splits[name]

    def shard_paths(self, split: str) -> list[epath.Path]:
        """Returns the shard files of a split, in the order that `RecordIndex.shard` counts."""
        num_shards = len(self.split(split).shard_sizes)
        return [self.path / shard_name(split, shard, num_shards) for shard in range(num_shards)]

    def index(self, split: str) -> RecordIndex:
        """Reads the record index of a split; raises UserError where it does not fit the shards."""
        info = self.split(split)
        path = self.path / INDEX_FILE
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                index = RecordIndex(*(arrays[f"{split}/{field}"] for field in _INDEX_FIELDS))
        except (OSError, KeyError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged ({error}); prepare the data set again"
            ) from error
        if len(index) != info.num_movies:
            raise UserError(
                f"{path} lists {len(index)} movies in {split}, {INFO_FILE} {info.num_movies}; "
                "prepare the data set again"
            )
        return index


def write_index(path: epath.PathLike, indices: dict[str, RecordIndex]) -> None:
    """Writes `INDEX_FILE` into the folder `path`: one `RecordIndex` for each split."""
    arrays = {
        f"{split}/{field}": getattr(index, field)
        for split, index in indices.items()
        for field in _INDEX_FIELDS
    }
    with (epath.Path(path) / INDEX_FILE).open("wb") as file:
        np.savez(file, **arrays)


def file_sha256(path: epath.PathLike) -> str:
    """The SHA-256 of a small file's bytes, in hexadecimal."""
    return hashlib.sha256(epath.Path(path).read_bytes()).hexdigest()


def open_dataset(path: epath.PathLike) -> PreparedDataset:
    """Opens a prepared data set, checking what can be checked without reading a record.

    Raises:
      UserError: `path` is no prepared data set, was written by another schema version, holds other
        genres, lacks a shard or has one of another size, or its tokenizer is not its own.
    """
    path = files.path(path)
    try:
        info = DatasetInfo.from_json((path / INFO_FILE).read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = "no such folder" if not path.exists() else f"no readable {INFO_FILE} in it"
        raise UserError(
            f"{path} is not a prepared data set ({reason}). Prepare one with: "
            "python -m data_prep.prepare --metadata movies_metadata.csv --posters <folder> "
            f"--out {path}"
        ) from error
    if info.schema_version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {info.schema_version}, this program reads "
            f"{SCHEMA_VERSION}; prepare it again"
        )
    if info.genres != schema.GENRES:
        raise UserError(
            f"{path} was prepared for other genres than this program's; prepare it again"
        )
    dataset = PreparedDataset(path, info)
    for split in info.splits:
        _check_shards(dataset, split)
    try:
        tokenizer_sha256 = file_sha256(dataset.tokenizer_path)
    except OSError as error:
        raise UserError(
            f"{dataset.tokenizer_path} is missing or unreadable; prepare the data set again"
        ) from error
    if tokenizer_sha256 != info.tokenizer_sha256:
        raise UserError(
            f"{dataset.tokenizer_path} is not the tokenizer that {path} was written with"
        )
    return dataset


def _check_shards(dataset: PreparedDataset, split: str) -> None:
    for shard, size in zip(
        dataset.shard_paths(split), dataset.split(split).shard_sizes, strict=True
    ):
        try:
            actual = shard.stat().length
        except OSError as error:
            raise UserError(
                f"the shard {shard} is missing or unreadable; prepare the data set again"
            ) from error
        if actual != size:
            raise UserError(
                f"the shard {shard} has {actual} bytes instead of {size}: truncated or replaced; "
                "prepare the data set again"
            )
