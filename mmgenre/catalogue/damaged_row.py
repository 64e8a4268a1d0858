"""Rows of a catalogue that cannot be read."""

from collections.abc import Sequence
from typing import Any


class DamagedRow(list[Any]):
    """A row that cannot be read: what there is of it, and why.

    Attributes:
      reason: one of a few.
    """

    def __init__(self, cells: Sequence[Any], reason: str):
        super().__init__(cells)
        self.reason = reason
