"""A pandas DataFrame as a catalogue: its rows, as JSON lines. Imports no pandas."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmgenre.errors import UserError


@contextlib.contextmanager
def as_catalogue(movies: Any, *, choices: str) -> Iterator[Path]:
    """A context with a file of the rows of a DataFrame.

    What is raised within as a UserError speaks of the DataFrame in place of that file.

    Args:
      movies: the DataFrame.
      choices: what the caller may give instead of anything else, for the error that says so.

    Raises:
      UserError: it is none, two columns have the same name, or a cell cannot be written.
    """
    if not _is_data_frame(movies):
        raise UserError(f"the movies are of type {type(movies).__name__}; give {choices}")
    with tempfile.TemporaryDirectory(prefix="mmgenre-") as folder:
        path = Path(folder) / "movies.jsonl"
        _write_json_lines(movies, path)
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), "the DataFrame")) from None


def _is_data_frame(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _write_json_lines(frame: Any, path: os.PathLike[str]) -> None:
    """Writes each row as a JSON object; lists and dicts in cells stay what they are."""
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
