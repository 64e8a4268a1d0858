"""Prepared shards to batches, with tf.data: padded, masked, and in the order of a `BatchPlan`.

Two sources, chosen by `config.data.mode`: "stream" reads each batch's records from the shards,
"host" parses all of them once and keeps the decoded posters in memory (13 kB a movie). The plan
decides what is in a batch, so both give the same batches. (For "resident" see
`mmgenre.training.resident_feed`, for "auto" `mmgenre.training.input_mode`; a source that is asked
for batches streams them then.)

This module imports TensorFlow; nothing that prediction needs may import it.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.config import DataConfig
from mmgenre.dataset import example_parser
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.dataset.example_parser import tf  # As set up there.
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.dataset.record_reader import ShardReader
from mmgenre.errors import UserError
from mmgenre.machine import environment

_STORED: Final = (schema.POSTER, schema.TOKENS, schema.LABELS)
"""What a batch takes from the records; the rest of it follows from the plan and the index."""

_MADE_AT_ONCE: Final = min(8, environment.num_cores() or 1)  # Batches.
_MADE_AHEAD: Final = 4  # Batches.

_Features = dict[str, tf.Tensor]


class MovieSource:
    """The movies of one split, ready to be put into batches."""

    def __init__(
        self,
        dataset: PreparedDataset,
        split: str,
        config: DataConfig,
        *,
        with_vectors: bool = False,
    ):
        """Opens a split; with `config.mode` "host" this reads all of it.

        Args:
          dataset: a prepared data set.
          split: one of its splits.
          config: how to read it.
          with_vectors: whether batches have the vectors of the data set's encoders, too.

        Raises:
          UserError: there is no such split, or the index or a shard cannot be read.
        """
        self._dataset, self._split = dataset, split
        self._vector_sizes = dataset.info.vector_sizes
        self._features = (*_STORED, *(self._vector_sizes if with_vectors else ()))
        self._index = dataset.index(split)
        self._shards = ShardReader(dataset, split)
        self._max_tokens = config.max_tokens
        self._error: UserError | None = None
        self._resident: _Features | None = None
        if config.mode == "host":
            self._resident = {k: tf.constant(v) for k, v in self.read_arrays().items()}

    @property
    def genres(self) -> tuple[str, ...]:
        """Of the data set, in the order of the labels."""
        return self._dataset.info.genres

    @property
    def num_tokens(self) -> np.ndarray:
        """<int32>[movies]: tokens of each overview, for a `BatchPlan`."""
        return self._index.num_tokens

    def batches(
        self, plan: BatchPlan, *, rows: slice = slice(None), start: int = 0
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of a plan, from number `start` on.

        Args:
          plan: which movies are in which batch.
          rows: the rows of each batch that are wanted: this process' share of the global batch.
          start: batches to skip.

        Yields:
          "poster" <uint8>[rows, 64, 64, 3], "tokens" <int32>[rows, time] padded with
          `schema.PAD_ID`, "length" <int32>[rows], "labels" <uint8>[rows, genres], "row"
          <int32>[rows] in the global batch, "mask" <float32>[rows], and vectors
          <float16>[rows, size] where they are asked for.
        """
        row_numbers = tf.range(plan.movies.shape[1], dtype=tf.int32)[rows]

        def batch_of(movies: tf.Tensor, length: tf.Tensor) -> _Features:
            return self._batch(movies, length, row_numbers)

        dataset = tf.data.Dataset.from_tensor_slices(
            (plan.movies[start:, rows], plan.lengths[start:])
        )
        dataset = dataset.map(batch_of, num_parallel_calls=_MADE_AT_ONCE, deterministic=True)
        dataset = dataset.prefetch(_MADE_AHEAD).with_options(_without_autotuning())
        for batch in dataset.as_numpy_iterator():
            if self._error is not None:  # Known before the batch of the record is there.
                raise self._error
            yield batch

    def read_arrays(self) -> dict[str, np.ndarray]:
        """Reads the whole split, in the order of the records.

        Returns:
          "poster" <uint8>[movies, 64, 64, 3], "tokens" <int32>[movies, max_tokens] padded with
          `schema.PAD_ID`, "labels" <uint8>[movies, genres], and vectors <float16>[movies, size]
          where they are asked for.
        """
        return read_split(self._dataset, self._split, *self._features, max_tokens=self._max_tokens)

    def _batch(self, movies: tf.Tensor, length: tf.Tensor, row_numbers: tf.Tensor) -> _Features:
        # Padding rows hold the split's first movie, masked out.
        existing = tf.maximum(movies, 0)
        if self._resident is None:
            features = example_parser.parse(
                self._read_op(existing),
                self._features,
                length,
                len(self.genres),
                self._vector_sizes,
            )
        else:
            features = {name: tf.gather(all_, existing) for name, all_ in self._resident.items()}
            features[schema.TOKENS] = features[schema.TOKENS][:, :length]
        num_tokens = tf.minimum(
            tf.gather(self._index.num_tokens, existing), tf.cast(length, tf.int32)
        )
        features[schema.LENGTH] = tf.maximum(num_tokens, 1)
        features[schema.ROW] = row_numbers
        features[schema.MASK] = tf.cast(movies >= 0, tf.float32)
        return features

    def _read_op(self, movies: tf.Tensor) -> tf.Tensor:
        """Returns the serialised Examples <string>[n] of the movies <int64>[n].

        What is raised here, TensorFlow would print with a traceback, and wrap: so it is kept.
        """

        def read(movies: np.ndarray) -> np.ndarray:
            try:
                return np.array(self._shards.read(movies), object)
            except UserError as error:
                self._error = error
                blank = example_parser.placeholder(len(self.genres), self._vector_sizes)
                return np.array([blank] * len(movies), object)

        records = tf.numpy_function(read, [movies], tf.string, stateful=False)
        return tf.ensure_shape(records, movies.shape)


def _without_autotuning() -> tf.data.Options:
    """Keeps tf.data's tuner away: it sleeps for 10, 20, 40 ms and so on, up to a minute.

    An iterator that ends while it falls asleep has to wait for it, which was measured at the end of
    every third epoch: eight seconds beside the twelve that the epoch took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
