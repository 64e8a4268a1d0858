"""Whole features of a split, in the order of its records, in one pass over its shards."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset import example_parser
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.record_reader import ShardReader
from mmgenre.machine import environment

_AT_ONCE: Final = 512  # Records.
_DTYPES: Final[dict[str, Any]] = {
    schema.POSTER: np.uint8,
    schema.HAS_POSTER: np.bool_,
    schema.TOKENS: np.int32,
    schema.LABELS: np.uint8,
    **dict.fromkeys(schema.VECTORS, np.float16),
}


def read_split(
    dataset: PreparedDataset,
    split: str,
    *features: str,
    max_tokens: int | None = None,
    movies: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Reads features of every movie of a split, each record once.

    Args:
      dataset: a prepared data set.
      split: one of its splits.
      *features: of `schema.RECORD_FEATURES`, and of the vectors that the data set has.
      max_tokens: the length that "tokens" are cut or padded to; by default that of the longest.
      movies: <int>[n], record numbers, to read these movies alone, in this order.

    Returns:
      Each feature by name: "poster" <uint8>[movies, 64, 64, 3], "has_poster" <bool>[movies],
      "tokens" <int32>[movies, max_tokens] padded with `schema.PAD_ID`, "labels"
      <uint8>[movies, genres], and <object>[movies] of str "id", "title" and "overview"; vectors
      <float16>[movies, size].

    Raises:
      UserError: there is no such split, or a shard is missing or damaged.
    """
    index = dataset.index(split)
    shards = ShardReader(dataset, split)
    wanted = np.arange(len(index)) if movies is None else movies
    length = int(index.num_tokens[wanted].max(initial=0)) if max_tokens is None else max_tokens
    num_genres, vector_sizes = len(dataset.info.genres), dataset.info.vector_sizes
    shapes: dict[str, tuple[int, ...]] = {
        **{name: (size,) for name, size in vector_sizes.items()},
        schema.POSTER: schema.POSTER_SHAPE,
        schema.TOKENS: (length,),
        schema.LABELS: (num_genres,),
    }
    arrays: dict[str, np.ndarray] = {
        name: np.empty((len(wanted), *shapes.get(name, ())), _DTYPES.get(name, object))
        for name in features
    }

    def read(start: int) -> None:
        records = shards.read(wanted[start : start + _AT_ONCE])
        for name, values in example_parser.parse(
            records, features, length, num_genres, vector_sizes
        ).items():
            found = values.numpy()
            if arrays[name].dtype == object:
                found = [text.decode() for text in found]
            arrays[name][start : start + len(records)] = found

    with ThreadPoolExecutor(min(8, environment.num_cores() or 1)) as pool:
        try:
            for _ in pool.map(read, range(0, len(wanted), _AT_ONCE)):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return arrays
