"""The pixels of an image file that was looked through: opened, made RGB, squeezed, turned upright.

Imports Pillow only, since a process may be started for it.
"""

import functools
import importlib
import io
import struct
from typing import Final

from PIL import Image
from PIL.ImageFile import ImageFile as PillowFile

from mmgenre.inputs import image_kinds
from mmgenre.inputs.image_file import ImageFile
from mmgenre.inputs.image_kinds import LimitError, PosterError

# A JPEG is decoded at the smallest eighth of its size that is still this many times the result, and
# the rest is left to the filter: indistinguishable from decoding it whole, and much faster.
_DRAFT: Final = 2

_WHOLE: Final = 8_000_000
"""Pixels up to which a picture is made RGB in one piece; a larger one is shrunk piece by piece."""

_CELLS: Final = 256
"""What a larger one is shrunk to at first, in each direction, before the filter."""

_PIECE: Final = 1024
_WHITE: Final = (255, 255, 255)

# Not `Image.open`, which tries other decoders as well and reads a JPEG's further pictures.
_OPENERS: Final = {
    image_kinds.JPEG: ("PIL.JpegImagePlugin", "JpegImageFile"),
    image_kinds.PNG: ("PIL.PngImagePlugin", "PngImageFile"),
    image_kinds.WEBP: ("PIL.WebPImagePlugin", "WebPImageFile"),
    image_kinds.GIF: ("PIL.GifImagePlugin", "GifImageFile"),
    image_kinds.BMP: ("PIL.BmpImagePlugin", "BmpImageFile"),
}
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(file: ImageFile, side: int) -> bytes:
    """Returns the pixels <uint8>[side, side, 3] of a file, RGB.

    Raises:
      PosterError: damaged or truncated, or memory does not suffice (`LimitError`).
    """
    try:
        with _opener(file.kind)(io.BytesIO(file.data)) as image:
            if image.size != (file.width, file.height):
                raise PosterError("damaged image (it has two sizes)")
            if file.kind == image_kinds.JPEG:
                image.draft("RGB", (_DRAFT * side, _DRAFT * side))
            image.load()
            # Squeezed before it is turned: both commute, and small pictures turn faster.
            pixels = squeeze(image, side)
    except Exception as error:  # Damaged files make Pillow raise nearly everything.
        raise damage(error) from error
    return turn(pixels, file.orientation).tobytes()


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Returns a picture turned upright; `orientation` as EXIF has it, 1 to 8."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def damage(error: Exception) -> PosterError:
    """Returns what to raise for an error of Pillow's: why there are no pixels, in a few words."""
    if isinstance(error, PosterError):
        return error
    if isinstance(error, MemoryError):
        return LimitError("it takes too much memory")
    text = (str(error).splitlines() or [""])[0]
    if "truncated" in text.lower():
        return PosterError("truncated image")
    return PosterError(f"damaged image ({text or type(error).__name__})"[:160])


def squeeze(image: Image.Image, side: int) -> Image.Image:
    """Returns a picture of `side` x `side` pixels, RGB, whatever the proportions, antialiased.

    Args:
      image: of one of Pillow's modes of 8 bits, or "I;16"; transparency is laid on white.
      side: pixels of the result in each direction.
    """
    size = (side, side)
    if image.mode == "I;16":  # Narrowed last: as 8 bits it would take a copy of all pixels.
        values = struct.unpack(f"<{side * side}H", _resize(image, size).tobytes())
        grey = bytes((value + 128) // 257 for value in values)
        return Image.frombytes("L", size, grey).convert("RGB")
    if image.width * image.height <= _WHOLE:
        return _resize(_to_rgb(image), size)
    across, down = max(1, image.width // _CELLS), max(1, image.height // _CELLS)
    small = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    wide, high = across * max(1, _PIECE // across), down * max(1, _PIECE // down)
    for top in range(0, image.height, high):
        for left in range(0, image.width, wide):
            right, bottom = min(left + wide, image.width), min(top + high, image.height)
            piece = _to_rgb(image.crop((left, top, right, bottom))).reduce((across, down))
            small.paste(piece, (left // across, top // down))
    box = (0.0, 0.0, image.width / across, image.height / down)  # Cells at the edges are partial.
    return small.resize(size, Image.Resampling.LANCZOS, box)


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*_WHITE, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


@functools.cache
def _opener(kind: str) -> type[PillowFile]:
    module, name = _OPENERS[kind]
    opener: type[PillowFile] = getattr(importlib.import_module(module), name)
    return opener
