"""The records of a prepared data set, and how each feature is encoded in its `tf.train.Example`.

    poster      bytes     one string of 12,288 bytes: the uint8 [64, 64, 3] pixels, row by row
    has_poster  int64     one 0 or 1
    tokens      int64     any number of ids, none for an empty overview
    labels      int64     a zero or a one for each genre of the data set (18 by default)
    id          bytes     one string, UTF-8
    title       bytes     one string, UTF-8, may be empty
    overview    bytes     one string, UTF-8, may be empty

and, of a data set that was prepared with encoders,

    poster_vector, overview_vector    bytes    one string: float16 values, little-endian; zeros
                                               where the movie has no such half

So this reads a batch of them:

    tf.io.parse_example(serialised, {
        "poster": tf.io.FixedLenFeature([], tf.string),       # tf.io.decode_raw(_, tf.uint8)
        "has_poster": tf.io.FixedLenFeature([], tf.int64),
        "tokens": tf.io.RaggedFeature(tf.int64),
        "labels": tf.io.FixedLenFeature([18], tf.int64),
        "id": tf.io.FixedLenFeature([], tf.string),
        "title": tf.io.FixedLenFeature([], tf.string),
        "overview": tf.io.FixedLenFeature([], tf.string),
        "poster_vector": tf.io.FixedLenFeature([], tf.string),    # tf.io.decode_raw(_, tf.float16)
    })
"""

import dataclasses
import hashlib
from typing import Any, Final

import numpy as np

from data_prep.shards.example import Example
from mmgenre import schema

_NO_POSTER: Final = bytes(int(np.prod(schema.POSTER_SHAPE)))


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One movie of a prepared data set.

    Attributes:
      id: the movie's id.
      title: or "".
      overview: or "".
      labels: <uint8>[genres].
      tokens: <int32>[num_tokens].
      poster: the pixels, <uint8>[64, 64, 3] as bytes; None without a poster.
      vectors: <float16>[size] as bytes, by feature.
    """

    id: str
    title: str
    overview: str
    labels: np.ndarray
    tokens: np.ndarray
    poster: bytes | None
    vectors: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def serialise(self) -> bytes:
        """The Example. Its features are in one order, so equal records are equal bytes."""
        example = Example()
        feature = example.features.feature
        feature[schema.POSTER].bytes_list.value.append(self.poster or _NO_POSTER)
        feature[schema.HAS_POSTER].int64_list.value.append(int(self.poster is not None))
        feature[schema.TOKENS].int64_list.value.extend(self.tokens.tolist())
        feature[schema.LABELS].int64_list.value.extend(self.labels.tolist())
        feature[schema.ID].bytes_list.value.append(self.id.encode("utf-8"))
        feature[schema.TITLE].bytes_list.value.append(self.title.encode("utf-8"))
        feature[schema.OVERVIEW].bytes_list.value.append(self.overview.encode("utf-8"))
        for name, vector in self.vectors.items():
            feature[name].bytes_list.value.append(vector)
        return example.SerializeToString(deterministic=True)

    def to_features(self) -> dict[str, Any]:
        """The values that TFDS's `features.encode_example` takes."""
        pixels = np.frombuffer(self.poster or _NO_POSTER, np.uint8).reshape(schema.POSTER_SHAPE)
        return {
            schema.POSTER: pixels,
            schema.HAS_POSTER: self.poster is not None,
            schema.TOKENS: self.tokens,
            schema.LABELS: self.labels,
            schema.ID: self.id,
            schema.TITLE: self.title,
            schema.OVERVIEW: self.overview,
            **{name: np.frombuffer(vector, "<f2") for name, vector in self.vectors.items()},
        }


def record_digest(example: Any) -> bytes:
    """SHA-256 of the contents of an Example, field by field, whatever the order they are in."""
    digest = hashlib.sha256()
    feature = example.features.feature
    vectors = [name for name in schema.VECTORS if name in feature]
    for name in (*schema.RECORD_FEATURES, *vectors):
        kind = feature[name].WhichOneof("kind")
        if kind == "bytes_list":
            values = list(feature[name].bytes_list.value)
        else:
            values = [np.array(feature[name].int64_list.value, "<i8").tobytes()]
        for value in (name.encode(), *values):
            digest.update(len(value).to_bytes(8, "little") + value)
    return digest.digest()
