"""Records of a split by number, proved to be what was written and what `schema` says."""

from typing import Final

import numpy as np
from etils import epath

from mmgenre.dataset import record_check, tfrecord
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.errors import UserError
from mmgenre.machine import files

_AT_ONCE: Final = 512  # Records.


class ShardReader:
    """The records of one split, from memory-mapped shards; remote ones are copied here first."""

    def __init__(self, dataset: PreparedDataset, split: str):
        """Maps the shards; raises UserError where one, or the index, cannot be read."""
        self._index = dataset.index(split)
        self._paths = dataset.shard_paths(split)
        self._vocabulary_size = dataset.info.vocabulary_size
        self._num_genres = len(dataset.info.genres)
        self._vector_sizes = dataset.info.vector_sizes
        self._shards = [_map(path) for path in self._paths]
        self._unproved = np.ones(len(self._index), bool)

    def check(self, movies: range) -> None:
        """Reads the movies and returns nothing; raises as `read`."""
        for start in range(movies.start, movies.stop, _AT_ONCE):
            self.read(np.arange(start, min(start + _AT_ONCE, movies.stop)))

    def read(self, movies: np.ndarray) -> list[bytes]:
        """Returns the serialised Examples of the movies <int>[n].

        Raises:
          UserError: a record's bytes do not fit the CRC-32C that TFRecord stores behind them, or
            are no record of a movie.
        """
        records = [self._record(movie) for movie in movies.tolist()]
        if self._unproved[movies].any():  # What it says is looked at once.
            problem = record_check.first_problem(
                records,
                self._index.num_tokens[movies],
                self._vocabulary_size,
                self._num_genres,
                self._vector_sizes,
            )
            if problem is not None:
                place, reason = problem
                raise self._damaged(int(movies[place]), reason)
            self._unproved[movies] = False
        return records

    def _record(self, movie: int) -> bytes:
        shard, offset = int(self._index.shard[movie]), int(self._index.offset[movie])
        end = offset + int(self._index.num_bytes[movie])
        stored = self._shards[shard][offset : end + tfrecord.FOOTER_BYTES].tobytes()
        record, crc = stored[: end - offset], stored[end - offset :]
        if int.from_bytes(crc, "little") != tfrecord.masked_crc(record):
            raise self._damaged(movie, "does not fit its checksum")
        return record

    def _damaged(self, movie: int, reason: str) -> UserError:
        path = self._paths[int(self._index.shard[movie])]
        return UserError(
            f"the shard {path} is damaged: record {self._number_in_shard(movie)} at byte "
            f"{int(self._index.offset[movie])} {reason}; restore the shard from a copy, or prepare "
            "the data set again"
        )

    def _number_in_shard(self, movie: int) -> int:
        return movie - int(np.searchsorted(self._index.shard, self._index.shard[movie]))


def check_share(dataset: PreparedDataset, process: int, num_processes: int) -> None:
    """Checks one process' share of the records of all splits.

    So that damage in what is read last, the test split, is not found after days of training. A data
    set on an object store is not checked: it would have to be copied for that.

    Args:
      dataset: a prepared data set.
      process: whose share, from 0 on.
      num_processes: that share the records among them.

    Raises:
      UserError: a record is damaged, or a shard cannot be read.
    """
    if files.is_remote(dataset.path):
        return
    for split in dataset.info.splits:
        total = dataset.info.splits[split].num_movies
        start, end = (total * number // num_processes for number in (process, process + 1))
        ShardReader(dataset, split).check(range(start, end))


def _map(path: epath.Path) -> np.ndarray:
    try:
        return files.map_bytes(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the shard {path}: {error}") from error
