"""A form that a browser or a program sends: its fields, and nothing else than these."""

import contextlib
import logging
import re
from collections.abc import Mapping
from typing import Final

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mmgenre.inputs import overview_text

# Without a charset of the client's choice: some of Python's take quadratic time.
_BOUNDARY: Final = r"[\w'()+,./:=? -]{1,70}"
_FORM: Final = re.compile(
    rf'multipart/form-data; *boundary=(?:({_BOUNDARY})|"({_BOUNDARY})")', re.ASCII | re.IGNORECASE
)

# It warns of each malformed form, which its sender is told, and nobody else.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


MAX_TEXT: Final = 4 * overview_text.MAX_CHARACTERS + 1
"""Bytes of an overview, and one more: of a longer one it is said that it is too long."""


class BadForm(Exception):
    """A form with other fields than it may have, or no form at all; the message says why."""


class _InMemory(MultiPartParser):
    """Keeps what is uploaded in memory, where `web_guard` has it already."""

    spool_max_size = 1 << 30

    def close(self) -> None:
        """Closes the files, those of parts that have no end included."""
        for file in self._files_to_close_on_error:
            file.close()


async def read_form(
    request: Request,
    fields: Mapping[str, type],
    *,
    max_upload: int,
    max_text: int = MAX_TEXT,
) -> dict[str, str | bytes]:
    """Returns the fields of a form, each at most once; an upload as its bytes.

    Args:
      request: whose body is all there.
      fields: `str` or `UploadFile` for each name that there may be.
      max_upload: bytes of an upload that are returned; one more for those that are larger.
      max_text: bytes of a text.

    Raises:
      BadForm: it is no form, or there are other fields, or other things in them.
    """
    match = _FORM.fullmatch(request.headers.get("content-type", ""))
    if match is None:
        raise BadForm("a form is multipart/form-data, with a boundary")
    # The parser would leave out a part that has no end, and say nothing.
    if not (await request.body()).rstrip().endswith(f"--{match[1] or match[2]}--".encode()):
        raise BadForm("it is cut off")
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=len(fields),
        max_part_size=max_text,
    )
    found: dict[str, str | bytes] = {}
    with contextlib.closing(parser):
        try:
            items = (await parser.parse()).multi_items()
        except MultiPartException as error:
            raise BadForm(str(error)) from error
        for name, value in items:
            if name in found or not isinstance(value, fields.get(name, ())):
                raise BadForm(
                    f"the field {name[:40]!r} is unknown, there twice, or of another kind"
                )
            found[name] = value if isinstance(value, str) else await value.read(max_upload + 1)
    return found


def sentence(error: Exception) -> str:
    """Returns what an error says as a sentence."""
    message = str(error).rstrip(".")
    return f"{message[:1].upper()}{message[1:]}."
