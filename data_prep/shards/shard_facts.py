"""Facts of a shard: where its records are, and what they hold in sum."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_prep.shards.example import Example
from data_prep.shards.records import record_digest
from mmgenre import schema
from mmgenre.dataset import tfrecord
from mmgenre.dataset.prepared import RecordIndex, SplitInfo


@dataclasses.dataclass(frozen=True)
class ShardFacts:
    """What one shard holds.

    Attributes:
      num_bytes: size of the file.
      offset: <int64>[num_movies], of each Example.
      length: <int32>[num_movies], bytes of each Example.
      num_tokens: <int32>[num_movies].
      genre_counts: <int64>[num_genres].
      posters: movies with a poster.
      overviews: movies with an overview.
      contents: SHA-256 over the records' contents.
    """

    num_bytes: int
    offset: np.ndarray
    length: np.ndarray
    num_tokens: np.ndarray
    genre_counts: np.ndarray
    posters: int
    overviews: int
    contents: bytes


class FactsCollector:
    """Adds up the records of a shard."""

    def __init__(self, num_genres: int) -> None:
        self._offset: list[int] = []
        self._length: list[int] = []
        self._num_tokens: list[int] = []
        self._genre_counts = np.zeros(num_genres, np.int64)
        self._posters = self._overviews = 0
        self._contents = hashlib.sha256()

    def add(self, offset: int, length: int, example: Any, *, is_sound: bool = True) -> None:
        """Adds a record.

        Args:
          offset: of its Example in the file.
          length: bytes of the Example.
          example: parsed.
          is_sound: whether its features are what they must be; else they are not counted.
        """
        feature = example.features.feature
        self._offset.append(offset)
        self._length.append(length)
        self._num_tokens.append(len(feature[schema.TOKENS].int64_list.value))
        self._contents.update(record_digest(example))
        if is_sound:
            self._genre_counts += np.array(feature[schema.LABELS].int64_list.value, np.int64)
            self._posters += feature[schema.HAS_POSTER].int64_list.value[0]
            self._overviews += bool(feature[schema.OVERVIEW].bytes_list.value[0])

    def facts(self, num_bytes: int) -> ShardFacts:
        """Returns what was added, of a file of so many bytes."""
        return ShardFacts(
            num_bytes,
            np.array(self._offset, np.int64),
            np.array(self._length, np.int32),
            np.array(self._num_tokens, np.int32),
            self._genre_counts,
            self._posters,
            self._overviews,
            self._contents.digest(),
        )


def read_facts(path: str, num_genres: int) -> ShardFacts:
    """Reads a shard; raises DamagedRecord where it is damaged."""
    collector = FactsCollector(num_genres)
    with epath.Path(path).open("rb") as file:
        for offset, data in tfrecord.read(file):
            collector.add(offset, len(data), Example.FromString(data))
        return collector.facts(file.tell())


def record_index(shards: Sequence[ShardFacts]) -> RecordIndex:
    """The index of a split, from its shards in order."""
    lengths = [len(shard.offset) for shard in shards]
    return RecordIndex(
        shard=np.repeat(np.arange(len(shards), dtype=np.int32), lengths),
        offset=np.concatenate([shard.offset for shard in shards]),
        num_bytes=np.concatenate([shard.length for shard in shards]),
        num_tokens=np.concatenate([shard.num_tokens for shard in shards]),
    )


def split_info(shards: Sequence[ShardFacts]) -> SplitInfo:
    """The description of a split, from its shards in order."""
    return SplitInfo(
        num_movies=sum(len(shard.offset) for shard in shards),
        shard_sizes=tuple(shard.num_bytes for shard in shards),
        genre_counts=tuple(np.sum([shard.genre_counts for shard in shards], axis=0).tolist()),
    )


def fingerprint(splits: Mapping[str, Sequence[ShardFacts]], genres: tuple[str, ...]) -> str:
    """SHA-256 over the contents of all records of a data set, by split and in order.

    And over the list of genres, where it is another than the specification's.
    """
    digest = hashlib.sha256()
    if genres != schema.GENRES:
        digest.update("\n".join(genres).encode())
    for split, shards in splits.items():
        for shard in shards:
            digest.update(split.encode() + shard.contents)
    return digest.hexdigest()
