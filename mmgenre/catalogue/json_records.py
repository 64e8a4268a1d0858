"""JSON objects of a file, one at a time: a line each, an array, or one behind the other."""

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final

from mmgenre.catalogue.csv_records import MAX_LINE
from mmgenre.errors import UserError

_BLOCK: Final = 1 << 20
_BETWEEN: Final = re.compile(r"[\s,]*")


class BrokenObject(str):
    """A line that is no JSON object: its text."""


def objects_of_lines(file: IO[str], name: str) -> Iterator[dict[str, Any] | BrokenObject]:
    """Streams a file of JSON lines; a line that is no object comes back as a `BrokenObject`.

    Raises:
      UserError: a line of more than `MAX_LINE` characters.
    """
    while line := file.readline(MAX_LINE):
        if len(line) >= MAX_LINE:
            raise UserError(
                f"{name} has a line of more than {MAX_LINE:,} characters: no JSON lines"
            )
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield value if isinstance(value, dict) else BrokenObject(line)


def _behind_blanks(text: str, start: int) -> int:
    blanks = _BETWEEN.match(text, start)
    return blanks.end() if blanks else start


def objects_of_array(file: IO[str], name: str) -> Iterator[dict[str, Any] | BrokenObject]:
    """Streams the objects of a JSON array, or objects one behind the other, in flat memory.

    Raises:
      UserError: the JSON is damaged, or one object has more than `MAX_LINE` characters.
    """
    decoder = json.JSONDecoder()
    text, start, count = file.read(_BLOCK), 0, 0
    is_array = text.lstrip().startswith("[")
    if is_array:
        start = text.index("[") + 1
    while True:
        start = _behind_blanks(text, start)
        if start == len(text) or (is_array and text[start] == "]"):
            more = file.read(_BLOCK) if start == len(text) else ""
            if not more:
                break
            text, start = more, 0
            continue
        try:
            value, end = decoder.raw_decode(text, start)
            # A number at the end of what was read may go on behind it.
            is_whole = end < len(text) or isinstance(value, dict | list | str)
        except (ValueError, RecursionError) as error:
            is_whole, reason = False, error
        else:
            reason = ValueError("cut off")
        if is_whole:
            count += 1
            yield value if isinstance(value, dict) else BrokenObject(text[start:end])
            start = end
            continue
        more = file.read(max(_BLOCK, len(text) - start))  # Doubled: linear in all.
        if not more or len(text) - start > MAX_LINE:
            raise UserError(f"{name} is damaged behind its JSON object number {count:,}: {reason}")
        text, start = text[start:] + more, 0
    if is_array and (start == len(text) or text[start] != "]"):
        raise UserError(f"{name} is cut off: its JSON array has no end")
