"""A prepared data set whose movies are dealt out to splits anew, without a byte being copied."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from etils import epath

from mmgenre.dataset.prepared import PreparedDataset, RecordIndex, SplitInfo


@dataclasses.dataclass(frozen=True)
class DealtDataset(PreparedDataset):
    """A view of another data set, to be read and trained on like any.

    Attributes:
      whole: the data set that holds the records.
      sources: the splits of `whole` whose records are dealt.
      numbers: by split of this view: <int>[movies], ascending places of its movies among the
        records of `sources`, one split after the other.
    """

    whole: PreparedDataset
    sources: tuple[str, ...]
    numbers: dict[str, np.ndarray]

    @classmethod
    def deal(
        cls,
        whole: PreparedDataset,
        sources: Sequence[str],
        numbers: Mapping[str, np.ndarray],
        labels: np.ndarray,
    ) -> Self:
        """Returns the view.

        Args:
          whole: the data set that holds the records.
          sources: the splits of it whose records are dealt.
          numbers: see the attribute; need not be ascending.
          labels: <uint8>[movies, genres] of the records of `sources`, one split after the other.
        """
        shards = [size for split in sources for size in whole.split(split).shard_sizes]
        ordered = {split: np.sort(chosen).astype(np.int64) for split, chosen in numbers.items()}
        digest = hashlib.sha256(f"{whole.info.fingerprint} {' '.join(sources)}".encode())
        splits = {}
        for split, chosen in ordered.items():
            digest.update(split.encode() + chosen.astype("<i8").tobytes())
            counts = labels[chosen].sum(axis=0, dtype=np.int64)
            splits[split] = SplitInfo(len(chosen), tuple(shards), tuple(counts.tolist()))
        info = dataclasses.replace(whole.info, splits=splits, fingerprint=digest.hexdigest())
        return cls(whole.path, info, whole, tuple(sources), ordered)

    def shard_paths(self, split: str) -> list[epath.Path]:
        """See `PreparedDataset`; every split of the view has the shards of all sources."""
        self.split(split)
        return [path for source in self.sources for path in self.whole.shard_paths(source)]

    def index(self, split: str) -> RecordIndex:
        """See `PreparedDataset`."""
        self.split(split)
        chosen = self.numbers[split]
        fields: dict[str, list[np.ndarray]] = {
            field.name: [] for field in dataclasses.fields(RecordIndex)
        }
        shards_before = 0
        for source in self.sources:
            index = self.whole.index(source)
            for name, parts in fields.items():
                values = getattr(index, name)
                shifted = values + np.int32(shards_before) if name == "shard" else values
                parts.append(shifted)
            shards_before += len(self.whole.split(source).shard_sizes)
        return RecordIndex(**{n: np.concatenate(parts)[chosen] for n, parts in fields.items()})
