"""Bytes of an image file to the 64 x 64 RGB pixels that the model sees.

The one decoder of the program: preparation and prediction must squeeze, rotate and round alike, or
the model would be asked about pictures that it was never trained on. Needs Pillow and NumPy only.

Strangers' files are not trusted. Each is looked through first (`image_file`), and only what is
small by its header is decoded in this process; the rest in one whose memory and time are limited.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from mmgenre import schema
from mmgenre.inputs import image_file, image_kinds, image_pixels, limited_decoder, orientation
from mmgenre.inputs.image_file import ImageFile
from mmgenre.inputs.image_kinds import MAX_BYTES, MAX_PIXELS, LimitError, PosterError
from mmgenre.inputs.limited_decoder import LimitedDecoder

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "LimitError",
    "PosterError",
    "decode_isolated",
    "decode_poster",
    "parse_poster",
    "squeeze_image",
]

_SMALL: Final = 32_000_000
"""Most bytes, roughly, and pixels that are gone over, of what is decoded in this process: less than
half a second."""


def decode_poster(
    data: bytes, *, isolated: bool = False, side: int = schema.POSTER_SIZE
) -> np.ndarray:
    """Decodes an image file to the model's size, the first frame of an animation.

    The picture is turned upright as its EXIF tag says, if that can be read, transparency is laid on
    white, and the whole is squeezed to the square, whatever its proportions, with an antialiasing
    filter.

    Args:
      data: a JPEG, PNG, WebP, GIF or uncompressed BMP file, of any colour model and depth.
      isolated: whether a small picture, too, is decoded in the process with limits.
      side: height and width of the result: 64, or what an encoder asks for.

    Returns:
      <uint8>[side, side, 3], RGB.

    Raises:
      PosterError: not an image, damaged or truncated, or beyond `MAX_BYTES` or `MAX_PIXELS`.
      LimitError: one of these, beyond the limits of `decoder_child`.
      UserError: the process with limits cannot be started.
    """
    file = parse_poster(data)
    if isolated or file.num_pixels * _weight(file) > _SMALL:
        return decode_isolated(file, limited_decoder.shared, side)
    with _memory_as_limit():
        return _as_array(image_pixels.decode(file, side), side)


def parse_poster(data: bytes) -> ImageFile:
    """Returns what an image file says of itself, such as `num_pixels`, before it is decoded.

    Raises:
      PosterError: as `decode_poster`, where that shows without decoding.
    """
    with _memory_as_limit():
        return image_file.parse(data)


def decode_isolated(
    file: ImageFile, decoder: LimitedDecoder, side: int = schema.POSTER_SIZE
) -> np.ndarray:
    """Returns the pixels <uint8>[side, side, 3] of a file, decoded in the process of `decoder`.

    Raises:
      PosterError, LimitError, UserError: as `decode_poster`.
    """
    with _memory_as_limit():
        return _as_array(decoder.decode(file, side), side)


@contextlib.contextmanager
def _memory_as_limit() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise LimitError("it takes too much memory") from error


def squeeze_image(image: Image.Image, side: int = schema.POSTER_SIZE) -> np.ndarray:
    """Brings a picture that the caller has opened, of any mode, to the model's size.

    As `decode_poster`, but for JPEGs, which that decodes at a smaller size: some values differ by
    one or two. The picture itself is not changed.

    Returns:
      <uint8>[side, side, 3], RGB.

    Raises:
      PosterError: damaged or truncated, no pixels, or more than `MAX_PIXELS`.
    """
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise PosterError(f"{width} x {height} pixels; from 1 to {MAX_PIXELS:,} are read")
    try:
        image.load()
        turned = _orientation(image)
        if image.mode in ("I", "F", "I;16B", "I;16N"):
            image = _from_deep_grey(image)
        pixels = image_pixels.turn(image_pixels.squeeze(image, side), turned)
    except Exception as error:
        raise image_pixels.damage(error) from error
    return _as_array(pixels.tobytes(), side)


def _weight(file: ImageFile) -> int:
    """What a pixel costs: bytes in memory, or how often it is gone over."""
    if file.kind != image_kinds.JPEG:
        return 16  # Four copies of four bytes, where one is made transparent and one RGB.
    # One that comes in one piece is shrunk while it is read; of others all coefficients are kept.
    return 1 if file.scans == 1 else max(8, file.scans)


def _orientation(image: Image.Image) -> int:
    exif, xmp = image.info.get("exif", b""), image.info.get("xmp", b"")
    if isinstance(exif, bytes) and isinstance(xmp, bytes):
        return orientation.find(exif, xmp)
    return orientation.UPRIGHT


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Greyscale of 32 bits: scaled from 16 bits, not cut off at 255 as Pillow would."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    largest = values.max()
    if image.mode == "F":
        scale = 255.0 if largest <= 1.0 else 1.0
    else:
        scale = 1.0 if largest <= 255 and image.mode == "I" else 1.0 / 257.0
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


def _as_array(pixels: bytes, side: int) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).reshape((side, side, 3)).copy()
