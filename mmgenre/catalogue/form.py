"""The form of a catalogue's text: JSON, or CSV and its delimiter, found by looking at its start."""

import dataclasses
import io
import itertools
from collections.abc import Callable
from typing import Final

from mmgenre.catalogue.csv_records import BrokenRecord, records

SAMPLE: Final = 1 << 18
"""Characters that are looked at."""

_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_ROWS: Final = 200


@dataclasses.dataclass(frozen=True)
class Form:
    """How the rows of a text stand in it.

    Attributes:
      kind: "csv", "json lines" or "json array".
      delimiter: of CSV.
      quoted: whether cells of CSV may be in quotation marks.
    """

    kind: str
    delimiter: str = ","
    quoted: bool = True

    def __str__(self) -> str:
        if self.kind != "csv":
            return {"json lines": "JSON lines", "json array": "a JSON array"}[self.kind]
        quotes = "" if self.quoted else ", without quotation marks"
        return f"CSV with {_DELIMITERS[self.delimiter]}{quotes}"


def find_form(sample: str, is_known: Callable[[str], bool]) -> Form:
    """Returns the form of a text.

    Args:
      sample: its first `SAMPLE` characters.
      is_known: whether a column's name is one of those that a catalogue has.
    """
    start = sample.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return Form("json array")
    if start.startswith("{"):
        first, _, rest = start.partition("\n")
        one_a_line = first.rstrip().endswith("}") and (not rest.strip() or rest.lstrip()[0] == "{")
        return Form("json lines" if one_a_line else "json array")
    is_cut = len(sample) >= SAMPLE
    forms = [Form("csv", delimiter) for delimiter in _DELIMITERS]
    forms.append(Form("csv", "\t", quoted=False))  # IMDb's own tables.
    return max(forms, key=lambda form: _score(sample, form, is_cut, is_known))


def _score(
    sample: str, form: Form, is_cut: bool, is_known: Callable[[str], bool]
) -> tuple[float, ...]:
    """How well a form explains a text: known columns, and rows as long as the header."""
    file = io.StringIO(sample, newline="")
    found = list(
        itertools.islice(records(file, "the file", form.delimiter, quoted=form.quoted), _ROWS)
    )
    if is_cut and len(found) < _ROWS:
        found = found[:-1] or found
    if not found:
        return (0.0,)
    header, *rows = found
    known = sum(is_known(name) for name in header)
    fitting = sum(
        len(row) == len(header) and not isinstance(row, BrokenRecord) for row in rows
    ) / max(len(rows), 1)
    return known * (0.1 + fitting), fitting, len(header) > 1, form.quoted
