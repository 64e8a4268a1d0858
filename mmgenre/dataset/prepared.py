"""The form of a prepared data set on disk, and how to open one.

    dataset_info.json, features.json          TFDS metadata, for `tfds.builder_from_directory`
    mmgenre-<split>.tfrecord-00000-of-00008   the movies, one `tf.train.Example` each
    tokenizer.json                            the tokenizer that made the `tokens`
    genres.txt                                the list of genres, as `prepare --genres` takes it
    dataset.json                              `DatasetInfo`: name, counts, fingerprints
    record_index.npz                          `RecordIndex` of each split: where each record starts
    audit.json                                what preparation kept and dropped, and why

The record index makes the shards readable at random, so that one permutation of record numbers
decides the order of training, whatever storage the movies are read from. NumPy only.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.encoders.encoder_info import EncoderInfo, encoders_from_fields, vector_sizes
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import tokenizer_digest
from mmgenre.machine import array_files, files, json_files, special_files

SCHEMA_VERSION: Final = 1
"""Raised whenever a reader of older data sets would misread newer ones."""

INFO_FILE: Final = "dataset.json"
INDEX_FILE: Final = "record_index.npz"
TOKENIZER_FILE: Final = "tokenizer.json"
GENRES_FILE: Final = "genres.txt"
AUDIT_FILE: Final = "audit.json"
_INDEX_FIELDS: Final[dict[str, np.dtype[Any]]] = {
    "shard": np.dtype(np.int32),
    "offset": np.dtype(np.int64),
    "num_bytes": np.dtype(np.int32),
    "num_tokens": np.dtype(np.int32),
}
_MIN_RECORD: Final = int(np.prod(schema.POSTER_SHAPE))  # Bytes: of its poster alone.
_SHOWN: Final = 3  # Genres that a sentence names.
_MAX_TOKENS: Final = 1 << 20  # Of an overview; it has at most 100,000 characters.


def shard_name(split: str, shard: int, num_shards: int) -> str:
    """The file name of a shard, as TFDS writes it."""
    return f"mmgenre-{split}.tfrecord-{shard:05d}-of-{num_shards:05d}"


def is_shard_name(file_name: str) -> bool:
    """Whether `shard_name` gives this name for some split: others may be the user's own files."""
    pattern = rf"mmgenre-({'|'.join(schema.SPLITS)})\.tfrecord-\d{{5}}-of-\d{{5}}"
    return re.fullmatch(pattern, file_name, re.ASCII) is not None


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

    def fits(self, split: "SplitInfo") -> bool:
        """Whether every record lies within its shard."""
        if not ((self.shard >= 0) & (self.shard < len(split.shard_sizes))).all():
            return False
        sizes = np.asarray(split.shard_sizes, np.int64)[self.shard]
        inside = (self.offset >= 0) & (self.num_bytes > 0) & (self.offset <= sizes)
        inside &= self.num_bytes <= sizes - self.offset
        return bool((inside & (self.num_tokens >= 0) & (self.num_tokens <= _MAX_TOKENS)).all())


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: how many movies, in which files, with how many of each genre.

    Attributes:
      num_movies: movies in the split.
      shard_sizes: bytes of each shard file, to find missing or truncated shards at start.
      genre_counts: movies of each genre, in the order of the data set's.
    """

    num_movies: int
    shard_sizes: tuple[int, ...]
    genre_counts: tuple[int, ...]

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Raises ValueError, LookupError or TypeError where `fields` are not those of a split."""
        num_movies = fields["num_movies"]
        split = cls(num_movies, tuple(fields["shard_sizes"]), tuple(fields["genre_counts"]))
        counts = (num_movies, *split.shard_sizes, *split.genre_counts)
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a count is no whole number")
        # Arrays of so many movies are made before a record is read.
        if num_movies * _MIN_RECORD > sum(split.shard_sizes) or max(counts[1:]) > 1 << 48:
            raise ValueError(f"{num_movies:,} movies do not fit into its shards")
        return split


DEMO_NAME: Final = "built-in demo corpus"
"""The name of the data set that is made where none is given; its movies are invented."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What a reader must know about a prepared data set before reading a record.

    Attributes:
      name: what to call the data set in logs and reports; the built-in one is `DEMO_NAME`.
      schema_version: `SCHEMA_VERSION` of the writer.
      tokenizer_sha256: of `tokenizer.json`, by `tokenizer_digest`.
      vocabulary_size: ids in the tokenizer.
      genres: their names, in the order of the labels; by default `schema.GENRES`.
      splits: by name; a split without movies is absent.
      fingerprint: SHA-256 over the records' contents, in order; equal for equal data sets.
      encoders: by the feature of `schema.VECTORS` that each makes; none by default.
    """

    name: str
    schema_version: int
    tokenizer_sha256: str
    vocabulary_size: int
    genres: tuple[str, ...]
    splits: dict[str, SplitInfo]
    fingerprint: str
    encoders: dict[str, EncoderInfo] = dataclasses.field(default_factory=dict)

    @property
    def is_invented(self) -> bool:
        """Whether it is the built-in demo corpus, which knows nothing of real movies."""
        return self.name == DEMO_NAME

    @property
    def vector_sizes(self) -> dict[str, int]:
        """The size of each vector that a record holds, by its feature."""
        return vector_sizes(self.encoders)

    def to_fields(self) -> dict[str, Any]:
        """The JSON value; without encoders it is what it was before there were any."""
        fields = dataclasses.asdict(self)
        if not self.encoders:
            del fields["encoders"]
        return fields

    def to_json(self) -> str:
        """The text of `INFO_FILE`."""
        return json.dumps(self.to_fields(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError where `text` is not what `to_json` writes."""
        return cls.from_fields(json_files.parse_json(text))

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Raises ValueError where `fields` are not the JSON value of `to_json`."""
        try:
            splits = {name: SplitInfo.from_fields(f) for name, f in fields["splits"].items()}
            encoders = encoders_from_fields(fields.get("encoders", {}))
            genres = tuple(fields["genres"])
            info = cls(**{**fields, "genres": genres, "splits": splits, "encoders": encoders})
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        texts = (info.name, info.tokenizer_sha256, info.fingerprint, *info.genres)
        numbers = (info.schema_version, info.vocabulary_size)
        if not (
            all(type(text) is str for text in texts)
            and all(type(number) is int and number > 0 for number in numbers)
            and splits.keys() <= set(schema.SPLITS)
            and all(len(split.genre_counts) == len(info.genres) for split in splits.values())
        ):
            raise ValueError("a field is of the wrong type, or does not fit the others")
        return info


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """An opened data set: `info`, and paths to the rest. Made by `open_dataset`."""

    path: epath.Path
    info: DatasetInfo

    @property
    def tokenizer_path(self) -> epath.Path:
        """The tokenizer's file."""
        return self.path / TOKENIZER_FILE

    def genres_text(self) -> str:
        """Returns the text of `GENRES_FILE`: what there is, or the names alone.

        An older program wrote none.
        """
        try:
            return (self.path / GENRES_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return "".join(f"{name}\n" for name in self.info.genres)

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
        expected = {
            f"{split}/{field}": (dtype, (info.num_movies,))
            for field, dtype in _INDEX_FIELDS.items()
        }
        try:
            index = RecordIndex(*array_files.read_arrays(path, expected).values())
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged ({error}); prepare the data set again"
            ) from error
        if not index.fits(info):
            raise UserError(
                f"{path} does not fit the shards of {split}; prepare the data set again"
            )
        return index


def write_index(path: epath.PathLike, indices: dict[str, RecordIndex]) -> None:
    """Writes `INDEX_FILE` into the folder `path`: one `RecordIndex` for each split."""
    arrays = {
        f"{split}/{field}": getattr(index, field)
        for split, index in indices.items()
        for field in _INDEX_FIELDS
    }
    with files.atomic_write(epath.Path(path) / INDEX_FILE) as file:
        np.savez(file, **arrays)


def open_dataset(path: epath.PathLike) -> PreparedDataset:
    """Opens a prepared data set, checking what can be checked without reading a record.

    Raises:
      UserError: `path` is no prepared data set, was written by another schema version, lacks a
        shard or has one of another size, or its tokenizer is not its own.
    """
    path = files.path(path)
    special_files.refuse_endless_in(path, recursive=False)
    try:
        info = DatasetInfo.from_fields(json_files.read_json(path / INFO_FILE))
    except (OSError, ValueError) as error:
        reason = "no such folder"
        if path.exists():
            is_there = not isinstance(error, FileNotFoundError)
            reason = f"its {INFO_FILE} is damaged: {error}" if is_there else f"no {INFO_FILE} in it"
        raise UserError(
            f"{path} is not a prepared data set ({reason}). Prepare one with: "
            "mmgenre prepare --metadata movies_metadata.csv --posters <folder> "
            f"--out {path}"
        ) from error
    if info.schema_version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {info.schema_version}, this program reads "
            f"{SCHEMA_VERSION}; prepare it again"
        )
    dataset = PreparedDataset(path, info)
    for split in info.splits:
        _check_shards(dataset, split)
    try:
        tokenizer_sha256 = tokenizer_digest(dataset.tokenizer_path)
    except OSError as error:
        raise UserError(
            f"{dataset.tokenizer_path} is missing or unreadable; prepare the data set again"
        ) from error
    if tokenizer_sha256 != info.tokenizer_sha256:
        raise UserError(
            f"{dataset.tokenizer_path} is not the tokenizer that {path} was written with"
        )
    return dataset


def genre_difference(before: Sequence[str], after: Sequence[str]) -> str:
    """Says in a few words how one list of genres differs from another."""
    gone = [name for name in before if name not in set(after)]
    new = [name for name in after if name not in set(before)]
    parts = [
        f"{word} {', '.join(map(repr, names[:_SHOWN]))}"
        + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for word, names in (("without", gone), ("with", new))
        if names
    ]
    return f"{len(after)} in place of {len(before)}: {', '.join(parts)}" if parts else "their order"


def _check_shards(dataset: PreparedDataset, split: str) -> None:
    for shard, size in zip(
        dataset.shard_paths(split), dataset.split(split).shard_sizes, strict=True
    ):
        try:
            actual = files.size(shard)
        except OSError as error:
            raise UserError(
                f"the shard {shard} is missing or unreadable; prepare the data set again"
            ) from error
        if actual != size:
            raise UserError(
                f"the shard {shard} has {actual} bytes instead of {size}: truncated or replaced; "
                "prepare the data set again"
            )
