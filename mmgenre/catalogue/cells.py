"""Cells of a catalogue, of whatever form, as text."""

from typing import Any, Final

MISSING: Final = frozenset(("", "nan", "none", "null", "\\n", "<na>", "n/a"))
"""What stands, trimmed and in lower case, in a cell without a value."""


def text_of(cell: Any) -> str:
    """Returns the text of a cell: a text, a number, the longest of a list, or nothing."""
    if isinstance(cell, str):
        return cell
    if cell is None or cell != cell:  # A missing number of pandas' is no number.
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, list | tuple):
        return max((text for text in cell if isinstance(text, str)), key=len, default="")
    return str(cell)
