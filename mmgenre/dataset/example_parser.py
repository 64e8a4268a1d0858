"""Serialised Examples to tensors: the one place that knows how a record's features are stored.

This module imports TensorFlow; nothing that prediction needs may import it.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

# Before the import, as `banners.silence` for commands: no banner of the processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import numpy as np
import tensorflow as tf

from mmgenre import schema

# TensorFlow only feeds data here: a GPU belongs to JAX alone.
with contextlib.suppress(RuntimeError):  # Already initialised by somebody else's code.
    tf.config.set_visible_devices([], "GPU")

_STORED: Final[dict[str, Any]] = {
    schema.POSTER: tf.io.FixedLenFeature([], tf.string),
    schema.HAS_POSTER: tf.io.FixedLenFeature([], tf.int64),
    schema.TOKENS: tf.io.RaggedFeature(tf.int64),
    schema.ID: tf.io.FixedLenFeature([], tf.string),
    schema.TITLE: tf.io.FixedLenFeature([], tf.string),
    schema.OVERVIEW: tf.io.FixedLenFeature([], tf.string),
}
_DTYPES: Final = {schema.HAS_POSTER: tf.bool, schema.LABELS: tf.uint8}


def stored(num_genres: int, vector_sizes: Mapping[str, int]) -> dict[str, Any]:
    """Returns what `tf.io.parse_example` wants to know of each feature."""
    vectors = dict.fromkeys(vector_sizes, tf.io.FixedLenFeature([], tf.string))
    return _STORED | {schema.LABELS: tf.io.FixedLenFeature([num_genres], tf.int64)} | vectors


def parse(
    examples: tf.Tensor | list[bytes],
    features: Sequence[str],
    num_tokens: tf.Tensor | int,
    num_genres: int,
    vector_sizes: Mapping[str, int],
) -> dict[str, tf.Tensor]:
    """Parses some features of Examples <string>[n].

    Args:
      examples: the records.
      features: of `schema.RECORD_FEATURES`, and of those in `vector_sizes`.
      num_tokens: the length that tokens are cut or padded to.
      num_genres: of the data set, which is the length of the labels.
      vector_sizes: of the data set's vectors, by feature.

    Returns:
      By name, with n in front, the shapes and dtypes that `schema` gives; texts as <string>[n] of
      UTF-8, tokens as <int32>[n, num_tokens] padded with `schema.PAD_ID`.
    """
    known = stored(num_genres, vector_sizes)
    wanted = {name: spec for name, spec in known.items() if name in features}
    parsed = tf.io.parse_example(examples, wanted)
    return {
        name: tf.reshape(tf.io.decode_raw(values, tf.float16), (-1, vector_sizes[name]))
        if name in vector_sizes
        else _decoded(name, values, num_tokens)
        for name, values in parsed.items()
    }


def placeholder(num_genres: int, vector_sizes: Mapping[str, int]) -> bytes:
    """Returns an Example of no movie that `parse` can read."""
    feature = tf.train.Feature
    empty = feature(bytes_list=tf.train.BytesList(value=[b""]))
    poster = tf.train.BytesList(value=[bytes(int(np.prod(schema.POSTER_SHAPE)))])
    values = {
        schema.POSTER: feature(bytes_list=poster),
        schema.HAS_POSTER: feature(int64_list=tf.train.Int64List(value=[0])),
        schema.LABELS: feature(int64_list=tf.train.Int64List(value=[0] * num_genres)),
        **dict.fromkeys((schema.ID, schema.TITLE, schema.OVERVIEW), empty),
        **{
            name: feature(bytes_list=tf.train.BytesList(value=[bytes(2 * size)]))
            for name, size in vector_sizes.items()
        },
    }
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()


def _decoded(name: str, values: Any, num_tokens: tf.Tensor | int) -> tf.Tensor:
    if name == schema.POSTER:
        return tf.reshape(tf.io.decode_raw(values, tf.uint8), (-1, *schema.POSTER_SHAPE))
    if name == schema.TOKENS:
        tokens = values[:, :num_tokens].to_tensor(schema.PAD_ID)
        missing = tf.cast(num_tokens, tf.int32) - tf.shape(tokens)[1]
        padded = tf.pad(tokens, [[0, 0], [0, missing]], constant_values=schema.PAD_ID)
        return tf.cast(padded, tf.int32)
    return tf.cast(values, _DTYPES[name]) if name in _DTYPES else values
