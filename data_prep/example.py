"""The records of a prepared data set: `tf.train.Example` messages, with and without TensorFlow.

How each feature is encoded (what `tf.io.parse_example` needs):

| feature      | in the Example               | parse as                                             |
|--------------|------------------------------|------------------------------------------------------|
| `poster`     | bytes, 12,288 of them: the uint8 [64, 64, 3] pixels, row by row | FixedLen([], string), `tf.io.decode_raw(., uint8)`, reshape |
| `has_poster` | int64 0 or 1                 | FixedLen([], int64), cast to bool                    |
| `tokens`     | int64 list, may be empty     | FixedLenSequence([], int64, allow_missing) or RaggedFeature, cast to int32 |
| `labels`     | int64 list of 18 zeros/ones  | FixedLen([18], int64), cast to uint8                 |
| `id`         | bytes, UTF-8, decimal digits | FixedLen([], string)                                 |
| `title`      | bytes, UTF-8, may be empty   | FixedLen([], string)                                 |
| `overview`   | bytes, UTF-8, may be empty   | FixedLen([], string)                                 |

The message classes are built here from their definition (tensorflow/core/example/example.proto)
instead of imported: importing TensorFlow costs every worker process seconds and 400 MB.
"""

import dataclasses
from typing import Any, Final

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mmgenre import schema


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="mmgenre/example.proto", package="tensorflow", syntax="proto3"
    )
    field = descriptor_pb2.FieldDescriptorProto
    repeated, single = field.LABEL_REPEATED, field.LABEL_OPTIONAL
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        message = file.message_type.add(name=name)
        value = message.field.add(name="value", number=1, type=kind, label=repeated)
        value.options.packed = kind != field.TYPE_BYTES
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        type_name = "".join(word.capitalize() for word in name.split("_"))
        feature.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".tensorflow.{type_name}",
            label=single,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=single)
    entry.field.add(
        name="value",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Feature",
        label=single,
    )
    features.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
        label=repeated,
    )
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Features",
        label=single,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


Example: Final[Any] = _message_class()
"""`tf.train.Example`, but for its Python class."""

_NO_POSTER: Final = bytes(int(np.prod(schema.POSTER_SHAPE)))


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One movie of a prepared data set.

    Attributes:
      id: the movie's id, decimal digits.
      title: or "".
      overview: or "".
      labels: <uint8>[18].
      tokens: <int32>[num_tokens].
      poster: the pixels, <uint8>[64, 64, 3] as bytes; None without a poster.
    """

    id: str
    title: str
    overview: str
    labels: np.ndarray
    tokens: np.ndarray
    poster: bytes | None

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
        }
