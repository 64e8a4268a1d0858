"""Rows of a catalogue by what their cells hold; those whose cells are shifted are told apart."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mmgenre.catalogue.cells import MISSING, text_of
from mmgenre.catalogue.columns import ADULT, ID, Columns
from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.picture_folder import PictureFolder
from mmgenre.catalogue.table import Table

NUMBER: Final = re.compile(r"(-?\d{1,18})(\.0+)?")
"""An id that is a number; pandas writes 862 as 862.0 beside missing ones."""

_FIRST: Final = 1_000  # Rows from which a catalogue's habits are learned.
_ENOUGH: Final = 100
_ADULT: Final = MISSING | frozenset(
    ("true", "false", "t", "f", "0", "1", "0.0", "1.0", "yes", "no", "y", "n")
)

Row = Mapping[str, Any] | DamagedRow
"""A row's cells by role (`mmgenre.catalogue.columns`), or that it cannot be read."""


@dataclasses.dataclass(frozen=True)
class Habits:
    """How a catalogue writes what tells a row whose cells are shifted from a good one.

    Attributes:
      ids_are_numbers: whether an id that is none shows a shifted row.
      adult_is_yes_or_no: whether another value of "adult" shows one.
    """

    ids_are_numbers: bool
    adult_is_yes_or_no: bool

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Habits":
        """Learns them from the first rows of a catalogue."""
        ids, adult, padded = [], [], False
        for row in rows:
            if isinstance(row, DamagedRow):
                continue
            id_ = text_of(row.get(ID)).strip()
            ids.append(NUMBER.fullmatch(id_) is not None)
            padded = padded or (ids[-1] and len(id_) > 1 and id_.startswith("0"))
            adult.append(text_of(row.get(ADULT)).strip().casefold() in _ADULT)
        return cls(_are_most(ids) and not padded, _are_most(adult))

    def why_shifted(self, row: Mapping[str, Any]) -> str:
        """Returns what shows that a row's cells are shifted; "" where nothing does."""
        if self.ids_are_numbers and not NUMBER.fullmatch(text_of(row[ID]).strip()):
            return "shifted columns: the id is not a number"
        adult = text_of(row.get(ADULT)).strip().casefold()
        if self.adult_is_yes_or_no and adult not in _ADULT:
            return "shifted columns: 'adult' is neither True nor False"
        return ""


def _are_most(found: list[bool]) -> bool:
    # Where there are enough to tell, a tenth of other ids is no damage but how ids are.
    share = 0.9 if len(found) >= _ENOUGH else 0.5
    return sum(found) > share * len(found)


def read_rows(table: Table, columns: Columns) -> tuple[Habits, Iterator[Row]]:
    """Returns a catalogue's habits, and its rows as a stream: as many as it has.

    Raises:
      UserError: the file is damaged; also while rows are read.
    """
    rows = _by_role(table, columns)
    first = list(itertools.islice(rows, _FIRST))
    # Names of files may be anything.
    habits = Habits(False, False) if isinstance(table, PictureFolder) else Habits.of(first)
    return habits, _checked(itertools.chain(first, rows), habits)


def _by_role(table: Table, columns: Columns) -> Iterator[Row]:
    roles, names = list(columns.of_role), list(columns.of_role.values())
    for cells in table.rows(names):
        yield cells if isinstance(cells, DamagedRow) else dict(zip(roles, cells, strict=True))


def _checked(rows: Iterable[Row], habits: Habits) -> Iterator[Row]:
    for row in rows:
        if not isinstance(row, DamagedRow) and (reason := habits.why_shifted(row)):
            row = DamagedRow([*row.values()], reason)
        yield row
