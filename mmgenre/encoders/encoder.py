"""A frozen encoder at work: its answers checked, and what is recorded of it."""

import hashlib
import os
import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from mmgenre import schema
from mmgenre.encoders.encoder_info import MAX_SIZE, EncoderInfo
from mmgenre.errors import UserError, first_line

BATCH: Final = 32
"""Texts or pictures that are encoded together."""

DEFAULT_SIDE: Final = 224
"""Height and width of the pictures that an encoder gets which does not ask for others."""

_MAX_SIDE: Final = 1024
_PROBES: Final = ("A boy finds a map.", "Two detectives follow a killer through the city.", "War")


@runtime_checkable
class Encoder(Protocol):
    """What `<module>:<factory>` returns, and what the built-in forms are.

    Attributes:
      name: of the encoder, for people.
      size: values of a vector.

    It may also have `digest`, a text that changes with its weights (by default that of what it says
    of a few fixed inputs), `preprocessing`, a sentence, and, for pictures, `side`: the height and
    width of those it wants (by default `DEFAULT_SIDE`).
    """

    name: str
    size: int

    def encode(self, inputs: list[Any], /) -> np.ndarray:
        """Returns <float32>[n, size] of n texts, or of n square RGB pictures of Pillow."""
        ...


class FrozenEncoder:
    """An encoder whose answers are checked. Safe to use from several threads, which take turns.

    Attributes:
      info: what is recorded of it.
      encoder: itself, whose answers nobody has checked.
      side: height and width of the pictures that it takes; 0 for one of texts.
      files: that it declares; see `Encoder`.
    """

    def __init__(self, encoder: Encoder, spec: str, feature: str):
        """Takes what a factory returned for a feature of `schema.VECTORS`.

        Raises:
          UserError: it is no encoder.
        """
        self.encoder, self._spec = encoder, spec
        self._lock = threading.Lock()
        size, side = getattr(encoder, "size", None), getattr(encoder, "side", DEFAULT_SIDE)
        if not isinstance(encoder, Encoder) or type(size) is not int or not 0 < size <= MAX_SIZE:
            raise UserError(
                f"the encoder {spec} is none: it needs a name, a size (1 to {MAX_SIZE:,}) and a "
                "method encode(list)"
            )
        if type(side) is not int or not 0 < side <= _MAX_SIDE:
            raise UserError(f"the encoder {spec} asks for pictures of side {side!r}")
        try:
            self.files = tuple(map(os.fspath, getattr(encoder, "files", ())))
        except TypeError as error:
            raise UserError(f"the encoder {spec} lists files that are no paths: {error}") from error
        self._size = size
        self.side = side if feature == schema.POSTER_VECTOR else 0
        own = str(getattr(encoder, "preprocessing", "") or "the encoder's own")
        squeezed = f"squeezed to {side} x {side}, transparency on white; " if self.side else ""
        self.info = EncoderInfo(
            spec=spec,
            name=str(encoder.name),
            digest=str(getattr(encoder, "digest", "") or self._digest_of_answers()),
            size=size,
            preprocessing=squeezed + own,
        )

    def encode(self, inputs: Sequence[str] | Sequence[Image.Image]) -> np.ndarray:
        """Returns the vectors <float16>[n, size] of n texts or RGB pictures.

        Raises:
          UserError: the encoder fails, or what it returns is no such array of finite numbers.
        """
        if not inputs:
            return np.zeros((0, self._size), np.float16)
        try:
            with self._lock:
                vectors = np.asarray(self.encoder.encode(list(inputs)), np.float32)
        except Exception as error:  # Somebody else's program.
            raise UserError(f"the encoder {self._spec} fails: {first_line(error)}") from error
        expected = (len(inputs), self._size)
        if vectors.shape != expected:
            raise UserError(
                f"the encoder {self._spec} returns an array {[*vectors.shape]} in place of "
                f"{[*expected]}"
            )
        with np.errstate(over="ignore"):
            rounded = vectors.astype(np.float16)
        if not np.isfinite(rounded).all():
            raise UserError(f"the encoder {self._spec} returns numbers that float16 cannot hold")
        return rounded

    def _digest_of_answers(self) -> str:
        """Of encoders that name no digest: of what they say of a few fixed inputs."""
        inputs: list[Any] = list(_PROBES)
        if self.side:
            ramp = np.arange(3 * self.side**2, dtype=np.int64).reshape((self.side, self.side, 3))
            inputs = [Image.fromarray((ramp * step % 256).astype(np.uint8)) for step in (1, 7, 64)]
        return hashlib.sha256(self.encode(inputs).tobytes()).hexdigest()
