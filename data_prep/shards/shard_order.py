"""Order of the records in the shards: exactly as TFDS's own writers decide it.

TFDS orders the records of a split by a hash of their key (here the movie's id) and cuts the range
of hashes into shards. Doing the same here makes the shards equal to those that Beam writes.
"""

import hashlib
from typing import Final

import numpy as np

SHARD_BYTES: Final = 96 << 20
"""Size that shards have at most, when their number is not given."""

MIN_SHARDS: Final = 8
"""Shards that a split has at least, if it has movies enough: so many readers can share it."""

MOVIES_WORTH_A_SHARD: Final = 128
_RECORD_BYTES: Final = 13_200  # Of an average movie: the poster is 12,288 of them.


def num_shards(num_movies: int, asked: int | None) -> int:
    """Shards of a split: `asked` (or as many as there are movies), or a number by size."""
    if asked is not None:
        return min(asked, num_movies)
    by_size = -(-num_movies * _RECORD_BYTES // SHARD_BYTES)
    return max(1, by_size, min(MIN_SHARDS, num_movies // MOVIES_WORTH_A_SHARD))


def shards(numbers: np.ndarray, ids: np.ndarray, split: str, shards_asked: int) -> list[np.ndarray]:
    """Orders the movies of a split and cuts them into shards.

    Args:
      numbers: <int64>[num_movies], numbers of the movies in the workspace.
      ids: <int64>[num_movies] or texts, their ids.
      split: its name, which salts the hash.
      shards_asked: how many shards; one that no hash falls into is left out.

    Returns:
      The numbers of the movies of each shard, in order.
    """
    salted = hashlib.md5(split.encode("utf-8"), usedforsecurity=False)
    high = np.empty(len(ids), np.uint64)
    low = np.empty(len(ids), np.uint64)
    for place, id_ in enumerate(ids.tolist()):
        md5 = salted.copy()
        md5.update(str(id_).encode("utf-8"))
        digest = md5.digest()
        high[place] = int.from_bytes(digest[:8], "big")
        low[place] = int.from_bytes(digest[8:], "big")
    order = np.lexsort((low, high))
    largest = (int(high[order[-1]]) << 64) + int(low[order[-1]])
    shard = np.empty(len(ids), np.int64)
    for place in range(len(ids)):
        value = (int(high[place]) << 64) + int(low[place])
        # TFDS divides as floats, and so do we: the last bit may decide.
        shard[place] = min(int((value * shards_asked) / largest), shards_asked - 1)
    by_shard = shard[order]
    return [numbers[order[by_shard == s]] for s in np.unique(by_shard)]
