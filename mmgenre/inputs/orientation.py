"""The orientation of a picture, from the EXIF or XMP in its file; unreadable ones say nothing.

Pillow reads all of a file's EXIF to find one number, and a megabyte of it can be made to fill eight
gigabytes. Here one directory is looked through, and nothing that it points at is read.
"""

import re
import struct
from typing import Final

UPRIGHT: Final = 1
"""The value of a picture that is stored as it is to be shown; up to 8 turn and mirror it."""

_TAG: Final = 0x0112
# Of EXIF's types those that are whole numbers: the struct format, within the four bytes of a value.
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_XMP: Final = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def find(exif: bytes, xmp: bytes) -> int:
    """Returns the orientation, 1 to 8, that a file's EXIF gives, or else its XMP packet.

    Args:
      exif: a TIFF header with its directories, maybe behind "Exif"; or anything else.
      xmp: the packet; b"" for none.
    """
    return _from_exif(exif) or _from_xmp(xmp) or UPRIGHT


def _from_exif(exif: bytes) -> int | None:
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[start : start + 4])
    if order is None or len(exif) < start + 8:
        return None
    place = start + struct.unpack_from(order + "I", exif, start + 4)[0]
    if place + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(order + "H", exif, place)
    place += 2
    end = min(place + 12 * count, len(exif) - 11)  # A directory may be cut short.
    for entry in range(place, end, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", exif, entry)
        if tag == _TAG:
            if values != 1 or kind not in _NUMBERS:
                return None
            return _valid(struct.unpack_from(order + _NUMBERS[kind], exif, entry + 8)[0])
    return None


def _from_xmp(packet: bytes) -> int | None:
    found = _XMP.search(packet)
    return _valid(int(found[1])) if found else None


def _valid(value: int) -> int | None:
    return value if UPRIGHT <= value <= 8 else None
