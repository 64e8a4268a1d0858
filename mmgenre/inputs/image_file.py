"""An image file without what its pixels do not need: sizes are checked, metadata is left out.

A file is walked through here in bounded steps before a decoder of Pillow's sees it. Comments,
profiles, EXIF and further frames, in which small files hide endless work and gigabytes, do not
reach a decoder at all.
"""

import dataclasses
import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

from mmgenre.inputs import orientation
from mmgenre.inputs.image_kinds import (
    BMP,
    GIF,
    JPEG,
    MAX_BYTES,
    MAX_PIXELS,
    PNG,
    WEBP,
    PosterError,
    kind_of,
)

_MAX_PARTS: Final = 50_000
"""Most segments, chunks or blocks of a file; 32 MiB in a PNG's usual 8 KiB are 4,096."""

_MAX_TABLES: Final = 1 << 16
"""Most bytes of a JPEG's tables; what programs write has less than 4 KiB."""

_MAX_SCANS: Final = 100
"""Most scans of a JPEG; what programs write has at most about 20."""

_MAX_TEXT: Final = 1 << 20
"""Most bytes of a PNG's text that are looked at."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """What there is to decode.

    Attributes:
      kind: one of `image_kinds.KINDS`.
      width: of the picture, in pixels.
      height: of the picture, in pixels.
      scans: how often a decoder goes over all pixels; more than once in progressive JPEGs.
      orientation: 1 for upright, 2 to 8 as EXIF has it.
      data: the file, without metadata.
    """

    kind: str
    width: int
    height: int
    scans: int
    orientation: int
    data: bytes

    @property
    def num_pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def parse(data: bytes) -> ImageFile:
    """Walks through a file, in time and memory proportional to its size.

    Raises:
      PosterError: not an image of the kinds that are opened, or one that is too large or damaged.
    """
    if not data:
        raise PosterError("empty file")
    if len(data) > MAX_BYTES:
        raise PosterError(f"too large: {len(data):,} bytes, at most {MAX_BYTES:,} are read")
    kind = kind_of(data)
    try:
        found = _PARSERS[kind](data)
    except (struct.error, IndexError) as error:  # Read behind the end.
        raise PosterError("truncated image") from error
    if found.num_pixels > MAX_PIXELS:
        raise PosterError(
            f"too many pixels: {found.width} x {found.height}, at most {MAX_PIXELS:,}"
        )
    if not found.num_pixels:
        raise PosterError("no pixels")
    return found


def _too_many(what: str) -> PosterError:
    return PosterError(f"damaged image (too many {what})")


# ------------------------------------------------------------------------------- JPEG

_MARKER: Final = re.compile(rb"\xff([\x01-\xfe])")
_SOS: Final = 0xDA
_EOI: Final = 0xD9
_WITHOUT_CONTENT: Final = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0 to RST7, SOI.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL: Final = frozenset((0xC0, 0xC1, 0xC9))
_APPLICATION: Final = frozenset((*range(0xE0, 0xF0), 0xFE))  # APP0 to APP15, COM.
_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"


def _parse_jpeg(data: bytes) -> ImageFile:
    kept, tables, place, size = [data[:2]], 0, 2, (0, 0)
    exif = xmp = b""
    sequential, components = False, 0
    for _ in range(_MAX_PARTS):
        if data[place] == 0xFF and 0 < data[place + 1] < 0xFF:
            code = data[place + 1]
            place += 2
        else:  # What belongs to no segment.
            found = _MARKER.search(data, place)
            if found is None:
                raise PosterError("truncated image")
            place, code = found.end(), found[1][0]
        if code in _WITHOUT_CONTENT:
            continue
        if code == _EOI:
            raise PosterError("damaged image (it ends before its pixels)")
        if code == _SOS:
            turned = orientation.find(exif, xmp)
            # Not copied where nothing is left out, which is the rule.
            whole = 2 + tables == place - 2
            needed = data if whole else b"".join([*kept, data[place - 2 :]])
            # Where the first scan has all components, a decoder reads no other.
            single = sequential and data[place + 2] == components
            scans = 1 if single else _num_scans(data, place)
            return ImageFile(JPEG, *size, scans, turned, needed)
        start, place = place, place + (data[place] << 8 | data[place + 1])
        if code not in _APPLICATION or _is_needed(data, start, code):
            kept.append(data[start - 2 : place])
            tables += place - start + 2
            if tables > _MAX_TABLES:
                raise _too_many("tables")
            if code in _FRAMES:
                if size[0]:
                    raise PosterError("damaged image (two frames)")
                height, width, components = struct.unpack_from(">HHB", data, start + 3)
                size, sequential = (width, height), code in _SEQUENTIAL
        elif code == 0xE1 and not exif and data.startswith(_EXIF, start + 2):
            exif = data[start + 2 : place]
        elif code == 0xE1 and not xmp and data.startswith(_XMP, start + 2):
            xmp = data[start + 2 : place]
    raise _too_many("segments")


def _is_needed(data: bytes, start: int, code: int) -> bool:
    """Whether a segment says how colours are stored."""
    return (code == 0xE0 and data.startswith(b"JFIF", start + 2)) or (
        code == 0xEE and data.startswith(b"Adobe", start + 2)
    )


def _num_scans(data: bytes, place: int) -> int:
    """Counts the scans, the one before `place` included.

    Raises:
      PosterError: too many.
    """
    scans = 1 + data.count(b"\xff\xda", place)
    if scans <= _MAX_SCANS:  # Some may belong to what follows the picture.
        return scans
    scans = 1
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, place)
        if found is None or found[1][0] == _EOI:
            return scans
        place = found.end()
        if found[1][0] in _WITHOUT_CONTENT:
            continue
        place += int.from_bytes(data[place : place + 2])
        scans += found[1][0] == _SOS
        if scans > _MAX_SCANS:
            raise _too_many("scans")
    raise _too_many("segments")


# -------------------------------------------------------------------------------- PNG


def _parse_png(data: bytes) -> ImageFile:
    if data[12:16] != b"IHDR":
        raise PosterError("damaged image (it does not begin with its size)")
    width, height = struct.unpack_from(">II", data, 16)
    kept, place = [data[:8]], 8
    first: dict[bytes, bytes] = {}  # The first chunk of a kind, or the first text of a name.
    for _ in range(_MAX_PARTS):
        if place + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, place)
        start, place = place, place + 12 + length
        if kind == b"IDAT":
            kept.append(data[start:place])
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            if kind not in first:
                kept.append(first.setdefault(kind, data[start:place]))
        elif kind == b"eXIf":
            first.setdefault(kind, data[start + 8 : place - 4])
        elif kind in (b"iTXt", b"tEXt", b"zTXt"):
            name, _, text = data[start + 8 : min(place - 4, start + _MAX_TEXT)].partition(b"\0")
            if name in (_PNG_PROFILE, _PNG_XMP):
                first.setdefault(name, kind + text)
        elif kind == b"IEND" or not kind.isalpha():
            break
    else:
        raise _too_many("chunks")
    kept.append(b"\0\0\0\0IEND\xaeB`\x82")
    exif = first.get(b"eXIf") or _png_profile(first.get(_PNG_PROFILE, b""))
    turned = orientation.find(exif, _png_text(first.get(_PNG_XMP, b"")))
    return ImageFile(PNG, width, height, 1, turned, b"".join(kept))


_PNG_PROFILE: Final = b"Raw profile type exif"
"""The name of the text in which ImageMagick keeps EXIF, in hexadecimal digits."""

_PNG_XMP: Final = b"XML:com.adobe.xmp"


def _png_profile(chunk: bytes) -> bytes:
    digits = b"".join(_png_text(chunk).split(b"\n")[3:])
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _png_text(chunk: bytes) -> bytes:
    """Returns the text of a chunk, at most `_MAX_TEXT` bytes: its kind, and what follows a name."""
    kind, text = chunk[:4], chunk[4:]
    compressed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"iTXt":
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]  # Behind two languages.
    elif kind == b"zTXt":
        text = text[1:]
    if compressed:
        try:
            return zlib.decompressobj().decompress(text, _MAX_TEXT)
        except zlib.error:
            return b""
    return text


# ------------------------------------------------------------------------------- WebP


def _parse_webp(data: bytes) -> ImageFile:
    kept, place, frames = list[bytes](), 12, 0
    size, exif, xmp = (0, 0), b"", b""
    for _ in range(_MAX_PARTS):
        if place + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, place)
        start, place = place, place + 8 + length + length % 2
        if kind in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            frames += kind == b"ANMF"
            if not kept:
                size = _webp_size(kind, data, start + 8)
            if frames <= 1:
                kept.append(data[start:place])
        elif kind == b"EXIF":
            exif = exif or data[start + 8 : place]
        elif kind == b"XMP ":
            xmp = xmp or data[start + 8 : place]
    else:
        raise _too_many("chunks")
    if not kept:
        raise PosterError("damaged image (no picture in it)")
    if kept[0].startswith(b"VP8X"):  # It names the chunks that were left out.
        kept[0] = kept[0][:8] + bytes([kept[0][8] & ~0x2C]) + kept[0][9:]
    body = b"WEBP" + b"".join(kept)
    whole = b"RIFF" + struct.pack("<I", len(body)) + body
    return ImageFile(WEBP, *size, 1, orientation.find(exif, xmp), whole)


def _webp_size(kind: bytes, data: bytes, place: int) -> tuple[int, int]:
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, place + 4)
        return 1 + low_w + (high_w << 16), 1 + low_h + (high_h << 16)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, place + 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, place + 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise PosterError("damaged image (it does not begin with its size)")


# -------------------------------------------------------------------------------- GIF


_GIF_PART: Final = re.compile(rb"[!,;]")


def _parse_gif(data: bytes) -> ImageFile:
    screen_width, screen_height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    head, control = data[:place], b""
    blocks = 0
    while blocks <= 4 * _MAX_PARTS:  # Of 255 bytes each, if they are ordinary.
        found = _GIF_PART.search(data, place)
        if found is None:
            raise PosterError("truncated image")
        start = place = found.start()
        if found[0] == b",":
            left, top, width, height = struct.unpack_from("<HHHH", data, place + 1)
            size = max(screen_width, left + width), max(screen_height, top + height)
            return ImageFile(GIF, *size, 1, orientation.UPRIGHT, head + control + data[place:])
        if found[0] == b";":
            raise PosterError("damaged image (no picture in it)")
        place += 2
        while data[place] and blocks <= 4 * _MAX_PARTS:
            place += 1 + data[place]
            blocks += 1
        place += 1
        blocks += 1
        if data[start + 1] == 0xF9:
            control = data[start:place]  # Which colour is transparent.
    raise _too_many("blocks")


# -------------------------------------------------------------------------------- BMP


def _parse_bmp(data: bytes) -> ImageFile:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif header in (40, 52, 56, 64, 108, 124):
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    else:
        raise PosterError("not an image, or of an unknown kind")
    if compression not in (0, 3):  # Pillow unfolds run lengths in Python, without a bound.
        raise PosterError("a compressed BMP picture; only uncompressed ones are read")
    width, height = max(width, 0), abs(height)  # Below zero it is stored from its top.
    if width * height * bits > 8 * len(data):
        raise PosterError("truncated image")
    return ImageFile(BMP, width, height, 1, orientation.UPRIGHT, data)


_PARSERS: Final[dict[str, Callable[[bytes], ImageFile]]] = {
    JPEG: _parse_jpeg,
    PNG: _parse_png,
    WEBP: _parse_webp,
    GIF: _parse_gif,
    BMP: _parse_bmp,
}
