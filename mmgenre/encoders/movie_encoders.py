"""The encoders that a trained model needs, loaded once, and the vectors of movies."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from PIL import Image

from mmgenre import schema
from mmgenre.encoders.encoder import BATCH, FrozenEncoder
from mmgenre.encoders.encoder_info import EncoderInfo
from mmgenre.encoders.load import load_same


class MovieEncoders:
    """Encoders by the feature of `schema.VECTORS` that each makes; there may be none.

    Safe to use from several threads.
    """

    def __init__(self, encoders: Mapping[str, FrozenEncoder]):
        self._encoders = dict(encoders)

    @classmethod
    def load(cls, infos: Mapping[str, EncoderInfo], needed_by: str) -> Self:
        """Loads the encoders that a data set recorded.

        Args:
          infos: by feature.
          needed_by: what needs them, for errors.

        Raises:
          UserError: a package is missing, or an encoder has other weights than then.
        """
        return cls({name: load_same(info, name, needed_by) for name, info in infos.items()})

    @property
    def side(self) -> int:
        """Height and width of the pictures that are needed; 0 where none are."""
        encoder = self._encoders.get(schema.POSTER_VECTOR)
        return 0 if encoder is None else encoder.side

    def vectors(
        self, pictures: Sequence[np.ndarray | None], texts: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns the vectors <float16>[movies, size] by feature, zeros for what is not there.

        Args:
          pictures: <uint8>[side, side, 3] of each movie, or None.
          texts: the overview of each movie, or "".

        Raises:
          UserError: an encoder fails.
        """
        inputs: dict[str, list[Any]] = {
            schema.POSTER_VECTOR: [None if p is None else Image.fromarray(p) for p in pictures],
            schema.OVERVIEW_VECTOR: [text or None for text in texts],
        }
        return {name: _encode(encoder, inputs[name]) for name, encoder in self._encoders.items()}


def _encode(encoder: FrozenEncoder, inputs: Sequence[Any]) -> np.ndarray:
    vectors = np.zeros((len(inputs), encoder.info.size), np.float16)
    there = [row for row, value in enumerate(inputs) if value is not None]
    for start in range(0, len(there), BATCH):
        rows = there[start : start + BATCH]
        vectors[rows] = encoder.encode([inputs[row] for row in rows])
    return vectors
