"""The columns by which a review's table names labels, for whoever writes and whoever applies it."""

import re
from typing import Final

ID: Final = "id"
GENRE: Final = "genre"
KIND: Final = "kind"
ACCEPT: Final = "accept"

GIVEN: Final = "given"
"""The kind of a label that a movie has, and that is accepted as wrong."""

MISSING: Final = "missing"
"""The kind of a label that a movie lacks, and that is accepted as right."""

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def harmless(text: str) -> str:
    """Puts a quote before a text that a spreadsheet would run as a formula; numbers are none."""
    return f"'{text}" if text.startswith(_FORMULAS) and not _NUMBER.fullmatch(text) else text


def original(text: str) -> str:
    """Returns the text that `harmless` was given, unless it began with such a quote itself."""
    return text[1:] if text.startswith("'") and harmless(text[1:]) == text else text
