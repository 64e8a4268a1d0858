"""Bytes of an image file to the 64 x 64 RGB pixels that the model sees.

The one decoder of the program: preparation and prediction must squeeze, rotate and round alike, or
the model would be asked about pictures that it was never trained on. Needs Pillow and NumPy only.
"""

import io
import warnings
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from mmgenre import schema
from mmgenre.errors import UserError

MAX_BYTES: Final = 32 << 20
"""Largest file that is decoded."""

MAX_PIXELS: Final = 64_000_000
"""Most pixels of an image that is decoded: a small file can unfold into gigabytes."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

_SIZE: Final = (schema.POSTER_SIZE, schema.POSTER_SIZE)
# A JPEG is decoded at the smallest eighth of its size that is still this many times the result, and
# the rest is left to the filter: indistinguishable from decoding it whole, and much faster.
_DRAFT: Final = 2
_WHITE: Final = (255, 255, 255)


class PosterError(UserError):
    """The bytes are no image that can be decoded; the message is the reason, in a few words."""


def decode_poster(data: bytes) -> np.ndarray:
    """Decodes an image file to the model's size, the first frame of an animation.

    The picture is turned upright as its EXIF tag says, transparency is laid on white, and the
    whole is squeezed to the square, whatever its proportions, with an antialiasing filter.

    Args:
      data: a JPEG, PNG, WebP, GIF, BMP or TIFF file, of any colour model and depth.

    Returns:
      <uint8>[64, 64, 3], RGB.

    Raises:
      PosterError: not an image, damaged or truncated, or beyond `MAX_BYTES` or `MAX_PIXELS`.
    """
    if not data:
        raise PosterError("empty file")
    if len(data) > MAX_BYTES:
        raise PosterError(f"too large: {len(data):,} bytes, at most {MAX_BYTES:,} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, lower, limit of pixels only warns.
            return _decode(data)
    except PosterError:
        raise
    except Image.DecompressionBombError as error:
        raise PosterError("too many pixels") from error
    except Image.UnidentifiedImageError as error:
        raise PosterError(_unidentified(data)) from error
    except Exception as error:  # Damaged files make Pillow raise nearly everything.
        raise PosterError(_damage(error)) from error


def _decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PosterError(f"too many pixels: {width} x {height}, at most {MAX_PIXELS:,}")
        if width == 0 or height == 0:
            raise PosterError("no pixels")
        if image.format == "JPEG":
            image.draft("RGB", (_DRAFT * _SIZE[0], _DRAFT * _SIZE[1]))
        image.load()
        pixels = _to_rgb(image)
        # Squeezed before it is turned: both commute, and small pictures turn faster.
        pixels = pixels.resize(_SIZE, Image.Resampling.LANCZOS)
        orientation = image.getexif().get(0x0112, 1)
    if orientation != 1:
        pixels.getexif()[0x0112] = orientation
        pixels = ImageOps.exif_transpose(pixels)
    return np.asarray(pixels, np.uint8).copy()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts any mode to RGB; transparency is laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*_WHITE, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Greyscale of more than 8 bits: scaled from 16 bits, not cut off at 255 as Pillow would."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    if image.mode == "F":
        scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    else:
        scale = 1.0 / 257.0 if values.max(initial=0.0) > 255 or image.mode != "I" else 1.0
    grey = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _unidentified(data: bytes) -> str:
    head = data[:256].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "not an image: a web page"
    if head.startswith((b"{", b"[")):
        return "not an image: JSON"
    return "not an image, or of an unknown kind"


def _damage(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if "truncated" in text.lower():
        return "truncated image"
    return f"damaged image ({text or type(error).__name__})"[:160]
