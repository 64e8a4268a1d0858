"""Prepared shards to batches, with tf.data: padded, masked, and in the order of a `BatchPlan`.

Two sources, chosen by `config.data.mode`: "stream" reads each batch's records from the shards,
"host" parses all of them once and keeps the decoded posters in memory (13 kB a movie). The plan
decides what is in a batch, so both give the same batches. (For the third mode, "resident", see
`mmgenre.training.resident_feed`; a source that is asked for batches streams them then.)

This module imports TensorFlow; nothing that prediction needs may import it.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Before the import: no banner of the CPU.
import tensorflow as tf

from mmgenre import schema
from mmgenre.config import DataConfig
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.record_reader import ShardReader
from mmgenre.errors import UserError
from mmgenre.machine import environment

# TensorFlow only feeds data here: a GPU belongs to JAX alone.
with contextlib.suppress(RuntimeError):  # Already initialised by somebody else's code.
    tf.config.set_visible_devices([], "GPU")

_FEATURES = {
    schema.POSTER: tf.io.FixedLenFeature([], tf.string),
    schema.HAS_POSTER: tf.io.FixedLenFeature([], tf.int64),
    schema.TOKENS: tf.io.RaggedFeature(tf.int64),
    schema.LABELS: tf.io.FixedLenFeature([schema.NUM_GENRES], tf.int64),
}

_READ_AT_ONCE = 1024  # Records, where a whole split is read.
_MADE_AT_ONCE = min(8, environment.num_cores() or 1)  # Batches.
_MADE_AHEAD = 4  # Batches.

_Features = dict[str, tf.Tensor]


class MovieSource:
    """The movies of one split, ready to be put into batches."""

    def __init__(self, dataset: PreparedDataset, split: str, config: DataConfig):
        """Opens a split; with `config.mode` "host" this reads all of it.

        Raises:
          UserError: there is no such split, or the index or a shard cannot be read.
        """
        self._index = dataset.index(split)
        self._shards = ShardReader(dataset.shard_paths(split), self._index)
        self._max_tokens = config.max_tokens
        self._error: UserError | None = None
        self._resident: _Features | None = None
        if config.mode == "host":
            self._resident = self._read_all()

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
          "poster" <uint8>[rows, 64, 64, 3], "has_poster" <bool>[rows], "tokens" <int32>[rows, time]
          padded with `schema.PAD_ID`, "length" <int32>[rows], "has_overview" <bool>[rows], "labels"
          <uint8>[rows, 18], "row" <int32>[rows] in the global batch, "mask" <float32>[rows].
        """
        row_numbers = tf.range(plan.movies.shape[1], dtype=tf.int32)[rows]

        def batch_of(movies: tf.Tensor, length: tf.Tensor) -> _Features:
            return self._batch(movies, length, row_numbers)

        dataset = tf.data.Dataset.from_tensor_slices(
            (plan.movies[start:, rows], plan.lengths[start:])
        )
        dataset = dataset.map(batch_of, num_parallel_calls=_MADE_AT_ONCE, deterministic=True)
        dataset = dataset.prefetch(_MADE_AHEAD).with_options(_without_autotuning())
        with self._explained():
            yield from dataset.as_numpy_iterator()

    def read_arrays(self) -> dict[str, np.ndarray]:
        """Reads the whole split, in the order of the records.

        Returns:
          "poster" <uint8>[movies, 64, 64, 3], "has_poster" <bool>[movies], "tokens"
          <int32>[movies, max_tokens] padded with `schema.PAD_ID`, "labels" <uint8>[movies, 18].
        """
        # The buffers themselves: `numpy()` would copy them.
        return {name: np.asarray(memoryview(tensor)) for name, tensor in self._read_all().items()}

    def read_ids(self, movies: np.ndarray) -> list[str]:
        """Returns the ids of the movies <int>[n], given by record number."""
        spec = tf.io.FixedLenFeature([], tf.string)
        return [text.decode() for text in _read(self._shards, movies, schema.ID, spec)]

    def _batch(self, movies: tf.Tensor, length: tf.Tensor, row_numbers: tf.Tensor) -> _Features:
        # Padding rows hold the split's first movie, masked out.
        existing = tf.maximum(movies, 0)
        if self._resident is None:
            features = _parse(self._read_op(existing), length)
        else:
            features = {name: tf.gather(all_, existing) for name, all_ in self._resident.items()}
            features[schema.TOKENS] = features[schema.TOKENS][:, :length]
        num_tokens = tf.minimum(
            tf.gather(self._index.num_tokens, existing), tf.cast(length, tf.int32)
        )
        features[schema.LENGTH] = tf.maximum(num_tokens, 1)
        features[schema.HAS_OVERVIEW] = num_tokens > 0
        features[schema.ROW] = row_numbers
        features[schema.MASK] = tf.cast(movies >= 0, tf.float32)
        return features

    def _read_op(self, movies: tf.Tensor) -> tf.Tensor:
        """Returns the serialised Examples <string>[n] of the movies <int64>[n]."""

        def read(movies: np.ndarray) -> np.ndarray:
            try:
                return np.array(self._shards.read(movies), object)
            except UserError as error:
                self._error = error
                raise

        records = tf.numpy_function(read, [movies], tf.string, stateful=False)
        return tf.ensure_shape(records, movies.shape)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """TensorFlow wraps what its threads raise in a traceback: raises the error itself."""
        try:
            yield
        except tf.errors.OpError:
            if self._error is not None:
                raise self._error from None
            raise

    def _read_all(self) -> _Features:
        dataset = tf.data.Dataset.range(len(self._index)).batch(512)
        dataset = dataset.map(
            lambda movies: _parse(self._read_op(movies), self._max_tokens),
            num_parallel_calls=_MADE_AT_ONCE,
            deterministic=True,
        )
        with self._explained():
            chunks = list(dataset.with_options(_without_autotuning()))
        return {name: tf.concat([chunk[name] for chunk in chunks], axis=0) for name in chunks[0]}


def _without_autotuning() -> tf.data.Options:
    """Keeps tf.data's tuner away: it sleeps for 10, 20, 40 ms and so on, up to a minute.

    An iterator that ends while it falls asleep has to wait for it, which was measured at the end of
    every third epoch: eight seconds beside the twelve that the epoch took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _parse(serialized: tf.Tensor, num_tokens: tf.Tensor | int) -> _Features:
    """Parses Examples <string>[n], tokens cut or padded to `num_tokens`."""
    features = tf.io.parse_example(serialized, _FEATURES)
    posters = tf.io.decode_raw(features[schema.POSTER], tf.uint8)
    tokens = features[schema.TOKENS][:, :num_tokens].to_tensor(schema.PAD_ID)
    missing = tf.cast(num_tokens, tf.int32) - tf.shape(tokens)[1]
    tokens = tf.pad(tokens, [[0, 0], [0, missing]], constant_values=schema.PAD_ID)
    return {
        schema.POSTER: tf.reshape(posters, (-1, *schema.POSTER_SHAPE)),
        schema.HAS_POSTER: tf.cast(features[schema.HAS_POSTER], tf.bool),
        schema.TOKENS: tf.cast(tokens, tf.int32),
        schema.LABELS: tf.cast(features[schema.LABELS], tf.uint8),
    }


def read_texts(dataset: PreparedDataset, split: str, feature: str) -> list[str]:
    """Reads a string feature of a whole split, in the order of the records.

    Args:
      dataset: a prepared data set.
      split: one of its splits.
      feature: `schema.ID`, `schema.TITLE` or `schema.OVERVIEW`.

    Raises:
      UserError: a shard is missing or damaged.
    """
    spec = tf.io.FixedLenFeature([], tf.string)
    return [text.decode() for text in _read_feature(dataset, split, feature, spec)]


def read_tokens(
    dataset: PreparedDataset, split: str, max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the tokens <int32>[movies, max_tokens], padded, and their lengths <int32>[movies]."""
    index = dataset.index(split)
    shards = ShardReader(dataset.shard_paths(split), index)
    tokens = np.full((len(index), max_tokens), schema.PAD_ID, np.int32)
    start = 0
    for part in _parsed(shards, np.arange(len(index)), schema.TOKENS, _FEATURES[schema.TOKENS]):
        words = part[:, :max_tokens].to_tensor()
        end = start + words.shape[0]
        tokens[start:end, : words.shape[1]] = words.numpy()
        start = end
    return tokens, np.minimum(index.num_tokens, max_tokens)


def read_labels(dataset: PreparedDataset, split: str) -> np.ndarray:
    """Reads the labels <uint8>[movies, 18] of a whole split; raises as `read_texts`."""
    spec = _FEATURES[schema.LABELS]
    return np.stack(_read_feature(dataset, split, schema.LABELS, spec)).astype(np.uint8)


def read_has_poster(dataset: PreparedDataset, split: str) -> np.ndarray:
    """Reads which movies of a split have a poster, <bool>[movies]; raises as `read_texts`."""
    spec = _FEATURES[schema.HAS_POSTER]
    return np.stack(_read_feature(dataset, split, schema.HAS_POSTER, spec)).astype(bool)


def read_posters(dataset: PreparedDataset, split: str) -> np.ndarray:
    """Reads the posters <uint8>[movies, 64, 64, 3] of a whole split; raises as `read_texts`."""
    spec = _FEATURES[schema.POSTER]
    pixels = b"".join(_read_feature(dataset, split, schema.POSTER, spec))
    return np.frombuffer(pixels, np.uint8).reshape((-1, *schema.POSTER_SHAPE))


def _read_feature(dataset: PreparedDataset, split: str, feature: str, spec: Any) -> list[Any]:
    index = dataset.index(split)
    shards = ShardReader(dataset.shard_paths(split), index)
    return _read(shards, np.arange(len(index)), feature, spec)


def _read(shards: ShardReader, movies: np.ndarray, feature: str, spec: Any) -> list[Any]:
    return [value for part in _parsed(shards, movies, feature, spec) for value in part.numpy()]


def _parsed(
    shards: ShardReader, movies: np.ndarray, feature: str, spec: Any
) -> Iterator[tf.Tensor | tf.RaggedTensor]:
    """Yields one feature of the movies <int>[n], some records at a time."""
    for start in range(0, len(movies), _READ_AT_ONCE):
        records = shards.read(movies[start : start + _READ_AT_ONCE])
        yield tf.io.parse_example(records, {feature: spec})[feature]
