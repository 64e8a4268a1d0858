"""Kinds of image files: which ones are opened, and the names of those that are not."""

import re
from typing import Final

from mmgenre.errors import UserError

MAX_BYTES: Final = 32 << 20
"""Largest file that is decoded."""

MAX_PIXELS: Final = 64_000_000
"""Most pixels of an image that is decoded: a small file can unfold into gigabytes."""

JPEG: Final = "JPEG"
PNG: Final = "PNG"
WEBP: Final = "WebP"
GIF: Final = "GIF"
BMP: Final = "BMP"
KINDS: Final = (JPEG, PNG, WEBP, GIF, BMP)
"""The kinds that are opened; a decoder that is never called cannot be misled."""

_OTHERS: Final = (
    (rb"II\*\x00|MM\x00\*|II\+\x00|MM\x00\+", "a TIFF picture"),
    (rb"....ftyp(avif|avis)", "an AVIF picture"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "a HEIC picture"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (rb"\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (rb"8BPS", "a Photoshop picture"),
    (rb"\x00\x00\x01\x00", "an icon"),
    (rb"(?!\s*<(!doctype\s+html|html|head|body)).{0,1000}<svg[\s>/]", "an SVG drawing"),
)
_NO_IMAGES: Final = (
    (rb"....ftyp", "a film"),
    (rb"%PDF", "a PDF document"),
    (rb"%!PS", "a PostScript document"),
    (rb"\x1f\x8b|PK\x03\x04", "a compressed file"),
    (rb"\s*<(!doctype|html|\?xml|head|body)", "a web page"),
    (rb"\s*[\[{]", "JSON"),
)


class PosterError(UserError):
    """The bytes are no image that can be decoded; the message is the reason, in a few words."""


class LimitError(PosterError):
    """Decoding takes more time or memory than a picture may, or ends the decoder."""


def kind_of(data: bytes) -> str:
    """Returns the kind, one of `KINDS`, that a file's first bytes name.

    Raises:
      PosterError: none of these; the message names what else it is.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if data.startswith(b"BM"):
        return BMP
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    if name := _name(head, _OTHERS):
        raise PosterError(f"{name}; only {', '.join(KINDS[:-1])} and {KINDS[-1]} are read")
    if name := _name(head, _NO_IMAGES):
        raise PosterError(f"not an image: {name}")
    raise PosterError("not an image, or of an unknown kind")


def _name(head: bytes, names: tuple[tuple[bytes, str], ...]) -> str | None:
    for pattern, name in names:
        if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
            return name
    return None
