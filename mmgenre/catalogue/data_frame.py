"""A pandas DataFrame as a catalogue: its rows, as JSON lines. Imports no pandas."""

import os
from typing import Any

from mmgenre.errors import UserError


def is_data_frame(value: Any) -> bool:
    """Whether a value is a pandas DataFrame."""
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def write_json_lines(frame: Any, path: os.PathLike[str]) -> None:
    """Writes each row as a JSON object; lists and dicts in cells stay what they are.

    Raises:
      UserError: two columns have the same name, or a cell cannot be written.
    """
    try:
        frame.to_json(
            path,
            orient="records",
            lines=True,
            date_format="iso",
            force_ascii=False,
            default_handler=str,
        )
    except (ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise UserError(f"the DataFrame cannot be read as movies: {error}") from error
