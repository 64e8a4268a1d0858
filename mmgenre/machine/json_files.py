"""JSON files of somebody else's: bounded in size, and every fault of theirs a ValueError."""

import json
from collections.abc import Iterator
from typing import Any, Final

from etils import epath

MAX_BYTES: Final = 64 << 20
"""Of the largest JSON file that this program writes, many times over."""


def read_json(path: epath.PathLike, max_bytes: int = MAX_BYTES) -> Any:
    """Reads a JSON file.

    Args:
      path: of the file.
      max_bytes: a larger file is refused before it is parsed.

    Raises:
      OSError: it cannot be read.
      ValueError: it is too large, no UTF-8, no JSON, or nested too deeply.
    """
    with epath.Path(path).open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return parse_json(data)


def parse_json(data: bytes | str) -> Any:
    """Reads JSON; raises ValueError where it is none, or is nested too deeply to be read."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_lines(path: epath.PathLike) -> Iterator[Any]:
    """Yields the value of each line of a file, one at a time; ends at a line that is no JSON.

    So a last line that was cut off in writing is left out, and so is what follows damage.

    Raises:
      OSError: the file cannot be read.
    """
    with epath.Path(path).open("rb") as file:
        while line := file.readline(MAX_BYTES):
            try:
                yield parse_json(line)
            except ValueError:
                return
