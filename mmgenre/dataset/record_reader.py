"""Records of a split by number, proved to be what was written."""

import numpy as np
from etils import epath

from mmgenre.dataset import tfrecord
from mmgenre.dataset.prepared import PreparedDataset, RecordIndex
from mmgenre.errors import UserError
from mmgenre.machine import files


class ShardReader:
    """The records of one split, from memory-mapped shards; remote ones are copied here first."""

    def __init__(self, paths: list[epath.Path], index: RecordIndex):
        """Maps the shards; raises UserError where one cannot be read."""
        self._index = index
        self._paths = paths
        self._shards = [_map(path) for path in paths]

    def check(self, movies: range) -> None:
        """Reads the movies and returns nothing; raises as `read`."""
        for movie in movies:
            self._record(movie)

    def read(self, movies: np.ndarray) -> list[bytes]:
        """Returns the serialised Examples of the movies <int>[n].

        Raises:
          UserError: a record's bytes do not fit the CRC-32C that TFRecord stores behind them.
        """
        return [self._record(movie) for movie in movies.tolist()]

    def _record(self, movie: int) -> bytes:
        shard, offset = int(self._index.shard[movie]), int(self._index.offset[movie])
        end = offset + int(self._index.num_bytes[movie])
        stored = self._shards[shard][offset : end + tfrecord.FOOTER_BYTES].tobytes()
        record, crc = stored[: end - offset], stored[end - offset :]
        if int.from_bytes(crc, "little") != tfrecord.masked_crc(record):
            raise UserError(
                f"the shard {self._paths[shard]} is damaged: record {self._number_in_shard(movie)} "
                f"at byte {offset} does not fit its checksum; restore the shard from a copy, or "
                "prepare the data set again"
            )
        return record

    def _number_in_shard(self, movie: int) -> int:
        return movie - int(np.searchsorted(self._index.shard, self._index.shard[movie]))


def check_share(dataset: PreparedDataset, process: int, num_processes: int) -> None:
    """Checks one process' share of the records of all splits against their checksums.

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
        index = dataset.index(split)
        start, end = (len(index) * number // num_processes for number in (process, process + 1))
        ShardReader(dataset.shard_paths(split), index).check(range(start, end))


def _map(path: epath.Path) -> np.ndarray:
    try:
        return files.map_bytes(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the shard {path}: {error}") from error
