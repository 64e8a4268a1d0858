"""What a data set and a run record of the frozen encoders that their vectors come from.

Imports nothing heavy: opening a data set does not need the encoders themselves.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Self

from mmgenre import schema

MAX_SIZE: Final = 65_536


@dataclasses.dataclass(frozen=True)
class EncoderInfo:
    """One frozen encoder.

    Attributes:
      spec: how it was asked for, such as "timm:resnet50"; it may name a place on another machine.
      name: what it calls itself.
      digest: of its weights, SHA-256 in hexadecimal; the same weights make the same vectors.
      size: values of a vector.
      preprocessing: what happens to a text or a picture before it, in a sentence.
    """

    spec: str
    name: str
    digest: str
    size: int
    preprocessing: str

    def facts(self) -> list[object]:
        """What decides the vectors, as JSON values: two of the same facts say the same."""
        return [self.digest, self.size, self.preprocessing]

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Raises ValueError or TypeError where `fields` are not those of an encoder."""
        info = cls(**fields)
        texts = (info.spec, info.name, info.digest, info.preprocessing)
        is_sound = all(type(text) is str for text in texts) and type(info.size) is int
        if not is_sound or not 0 < info.size <= MAX_SIZE:
            raise ValueError("a field of an encoder is of the wrong type")
        return info


def encoders_from_fields(fields: Any) -> dict[str, EncoderInfo]:
    """Returns encoders by the feature that they make; raises as `EncoderInfo.from_fields`."""
    encoders = {name: EncoderInfo.from_fields(values) for name, values in dict(fields).items()}
    if not encoders.keys() <= set(schema.VECTORS):
        raise ValueError("an encoder makes an unknown feature")
    return encoders


def vector_sizes(encoders: Mapping[str, EncoderInfo]) -> dict[str, int]:
    """Returns the size of each vector by its feature, in the order of `schema.VECTORS`."""
    return {name: encoders[name].size for name in schema.VECTORS if name in encoders}
