"""The encoding of a text file, found by reading all of it."""

import codecs
import dataclasses
import re
from typing import IO, Final

import numpy as np

_BLOCK: Final = 1 << 20
_BOMS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UNDEFINED: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")  # In Windows-1252.
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


@dataclasses.dataclass(frozen=True)
class Encoding:
    """What a file's characters are written in.

    Attributes:
      name: Python's name of it.
      note: what a reader should know of it; "" where it is plain UTF-8.
    """

    name: str
    note: str = ""


def find_encoding(file: IO[bytes]) -> Encoding:
    """Reads a file from its start to its end, and returns its encoding.

    UTF-8 and UTF-16, by their mark or by their form. Bytes that are no UTF-8 are Windows-1252 (or
    latin-1, where a byte has no meaning in it), unless there is more UTF-8 in the file than such
    bytes: then they are damage, and become U+FFFD.
    """
    head = file.read(_BLOCK)
    for bom, name in _BOMS.items():
        if head.startswith(bom):
            return Encoding(name, "" if name.startswith("utf-8") else "read as UTF-16")
    # Text in a Latin script has a zero in every other byte.
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if len(head) > 1 and zeros.count(0) > len(zeros) // 2:
            return Encoding(name, "read as UTF-16")
    letters, damaged, undefined = _count(file, head)
    if not damaged:
        return Encoding("utf-8")
    if letters > damaged:
        return Encoding("utf-8", f"{damaged:,} bytes are no UTF-8: replaced by U+FFFD")
    if undefined:
        return Encoding("latin-1", "no UTF-8: read as latin-1")
    return Encoding("cp1252", "no UTF-8: read as Windows-1252")


def _count(file: IO[bytes], block: bytes) -> tuple[int, int, int]:
    """Counts letters of several bytes, bytes that are no UTF-8, and those undefined in cp1252."""
    letters = damaged = undefined = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while True:
        text = decoder.decode(block, final=not block)
        if not text.isascii():
            escaped = [ord(c) - 0xDC00 for c in _ESCAPED.findall(text)]
            damaged += len(escaped)
            undefined += sum(byte in _UNDEFINED for byte in escaped)
            # Each letter of several bytes begins with one of these; so do some damaged bytes.
            letters += int(np.count_nonzero(np.frombuffer(block, np.uint8) >= 0xC0))
            letters -= sum(byte >= 0xC0 for byte in escaped)
        if not block:
            return letters, damaged, undefined
        block = file.read(_BLOCK)
