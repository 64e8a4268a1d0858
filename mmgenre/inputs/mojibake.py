"""Text that was UTF-8, read as Windows-1252 and stored so: "donâ€™t" for "don't", "Ã©" for "é".

Only sequences that hardly stand for themselves are turned back: those that begin as accented Latin
letters, general punctuation, currency and other signs, and emoji begin in UTF-8. "É»" is valid
UTF-8, too, but may close a French quotation.
"""

import re
from typing import Final


def _byte_of() -> dict[str, int]:
    """Which byte a character was: Windows-1252's, and Latin-1's controls where it has none."""
    found = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0xA0):
        try:
            found[bytes([byte]).decode("cp1252")] = byte
        except UnicodeDecodeError:  # Five bytes have no character there.
            continue
    return found


_BYTE_OF: Final = _byte_of()
_CONTROLS: Final = {byte: character for character, byte in _BYTE_OF.items() if ord(character) > 255}
"""Controls that nobody writes, and what their byte is in Windows-1252."""

_REST: Final = "[" + re.escape("".join(c for c, b in _BYTE_OF.items() if b < 0xC0)) + "]"
_SEQUENCE: Final = re.compile(
    f"(?:[ÂÃÄÅ]{_REST}|[ÎÏÐÑ×]{_REST}(?=[ÎÏÐÑ×]{_REST}| )|[âãï]{_REST}{{2}}|ð{_REST}{{3}})+"
)
_CUT_QUOTE: Final = "â€"
"""What is left of a closing quotation mark, whose last byte Windows-1252 has no character for."""

_MOST_TIMES: Final = 8  # Else a text could be made that takes a round for each character.
_FIRST: Final = re.compile("[ÂÃÄÅÎÏÐÑ×âãïð]")


def mended(text: str) -> str:
    """Returns a text with such sequences turned back, also where it happened several times over.

    A text that needs no mending, or was mended, stays as it is (unless it was made to need more
    than eight rounds).
    """
    for _ in range(_MOST_TIMES):
        if _FIRST.search(text) is None:
            break
        again = _SEQUENCE.sub(_decoded, text)
        if again == text:
            break
        text = again
    return text.replace(_CUT_QUOTE, "”").translate(_CONTROLS)


def _decoded(found: re.Match[str]) -> str:
    data = bytes(_BYTE_OF[character] for character in found[0])
    try:
        return data.decode()
    except UnicodeDecodeError:  # Not UTF-8 after all, such as a surrogate.
        return found[0]
