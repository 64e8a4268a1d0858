"""Stage 7, index: reads the shards back and writes all that describes them."""

import dataclasses
import hashlib
from typing import Any, Final

import numpy as np
from etils import epath

from data_prep.shards import checksums, tfds_metadata
from data_prep.shards.example import Example
from data_prep.shards.records import record_digest
from data_prep.workspace import storage, workers
from data_prep.workspace.progress import Progress
from mmgenre import schema
from mmgenre.dataset import prepared, tfrecord
from mmgenre.dataset.prepared import DatasetInfo, RecordIndex, SplitInfo
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.machine import files

STAGE: Final = "index"
VERSION: Final = 2
_INLINE: Final = 200 << 20  # Bytes that are read sooner than a pool of processes starts.


@dataclasses.dataclass(frozen=True)
class ShardFacts:
    """What one shard holds.

    Attributes:
      num_bytes: size of the file.
      offset: <int64>[num_movies], of each Example.
      length: <int32>[num_movies], bytes of each Example.
      num_tokens: <int32>[num_movies].
      genre_counts: <int64>[18].
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


def shard_facts(path: str) -> ShardFacts:
    """Reads a shard; raises DamagedRecord where it is damaged."""
    offset, length, num_tokens = [], [], []
    genre_counts = np.zeros(schema.NUM_GENRES, np.int64)
    posters = overviews = 0
    contents = hashlib.sha256()
    with epath.Path(path).open("rb") as file:
        for start, data in tfrecord.read(file):
            example = Example.FromString(data)
            feature = example.features.feature
            offset.append(start)
            length.append(len(data))
            num_tokens.append(len(feature[schema.TOKENS].int64_list.value))
            genre_counts += np.array(feature[schema.LABELS].int64_list.value, np.int64)
            posters += feature[schema.HAS_POSTER].int64_list.value[0]
            overviews += bool(feature[schema.OVERVIEW].bytes_list.value[0])
            contents.update(record_digest(example))
        size = file.tell()
    return ShardFacts(
        size,
        np.array(offset, np.int64),
        np.array(length, np.int32),
        np.array(num_tokens, np.int32),
        genre_counts,
        posters,
        overviews,
        contents.digest(),
    )


def index(
    out: epath.Path, name: str, tokenizer: epath.Path, processes: int, progress: Progress
) -> tuple[DatasetInfo, dict[str, Any]]:
    """Writes TFDS's metadata, the record index and the tokenizer.

    Args:
      out: folder with the shards.
      name: of the data set.
      tokenizer: its file in the workspace.
      processes: that read shards.
      progress: shown while reading.

    Returns:
      What `write_info` is to write once the audit is there, and for the audit how many movies of
      each split have a poster and an overview.
    """
    shards = {split: _shard_paths(out, split) for split in schema.SPLITS}
    shards = {split: paths for split, paths in shards.items() if paths}
    fingerprint = hashlib.sha256()
    splits: dict[str, SplitInfo] = {}
    indices: dict[str, RecordIndex] = {}
    presence: dict[str, Any] = {}
    lengths: dict[str, tuple[list[int], int]] = {}
    all_paths = [path for paths in shards.values() for path in paths]
    num_bytes = sum(map(files.size, all_paths))
    pool = processes if num_bytes > _INLINE else 1
    with (
        progress.bar(STAGE, len(all_paths), "shards") as bar,
        workers.ordered_map(shard_facts, all_paths, pool) as facts_of_all,
    ):
        for split, paths in shards.items():
            facts = []
            for _ in paths:
                facts.append(next(facts_of_all))
                bar.update()
            for shard in facts:
                fingerprint.update(split.encode() + shard.contents)
            indices[split] = _record_index(facts)
            splits[split] = SplitInfo(
                num_movies=len(indices[split]),
                shard_sizes=tuple(shard.num_bytes for shard in facts),
                genre_counts=tuple(
                    np.sum([shard.genre_counts for shard in facts], axis=0).tolist()
                ),
            )
            presence[split] = {
                "posters": sum(shard.posters for shard in facts),
                "overviews": sum(shard.overviews for shard in facts),
            }
            lengths[split] = (
                [len(shard.offset) for shard in facts],
                int(indices[split].num_bytes.sum()),
            )
    with storage.atomic_write(out / prepared.TOKENIZER_FILE) as file:
        file.write(tokenizer.read_bytes())
    prepared.write_index(out, indices)
    tfds_metadata.write(out, name, lengths)
    info = DatasetInfo(
        name=name,
        schema_version=prepared.SCHEMA_VERSION,
        tokenizer_sha256=prepared.file_sha256(tokenizer),
        vocabulary_size=OverviewTokenizer.load(tokenizer).vocabulary_size,
        genres=schema.GENRES,
        splits=splits,
        fingerprint=fingerprint.hexdigest(),
    )
    return info, presence


def _shard_paths(out: epath.Path, split: str) -> list[str]:
    return sorted(str(path) for path in out.glob(f"mmgenre-{split}.tfrecord-*"))


def _record_index(facts: list[ShardFacts]) -> RecordIndex:
    return RecordIndex(
        shard=np.repeat(np.arange(len(facts), dtype=np.int32), [len(f.offset) for f in facts]),
        offset=np.concatenate([shard.offset for shard in facts]),
        num_bytes=np.concatenate([shard.length for shard in facts]),
        num_tokens=np.concatenate([shard.num_tokens for shard in facts]),
    )


def write_info(out: epath.Path, info: DatasetInfo) -> None:
    """Writes `dataset.json`, the last file of a data set: from here on it is whole."""
    with storage.atomic_write(out / prepared.INFO_FILE, "w") as file:
        file.write(info.to_json())
    checksums.write(out)
