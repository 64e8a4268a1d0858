"""Answers of an image server, and what each means.

One without an image is one of two exceptions: `Transient`, worth another try, or `Permanent`.
"""

import email.utils
import math
import time
from typing import Final

import aiohttp

from mmgenre.inputs import poster_decoder, web_addresses

MISSING: Final = "missing: HTTP 404"
_GONE: Final = frozenset((404, 410))
_TRY_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524))
_BLOCK: Final = 1 << 16


class Transient(Exception):
    """Worth another try.

    Attributes:
      wait: how long the server asked us to wait, in seconds.
      is_busy: whether it meant every request.
      is_corrupt: whether there was an answer, and no poster in it.
    """

    def __init__(
        self, reason: str, wait: float = 0.0, *, is_busy: bool = False, is_corrupt: bool = False
    ):
        super().__init__(reason)
        self.wait = wait
        self.is_busy = is_busy
        self.is_corrupt = is_corrupt


class Permanent(Exception):
    """No further try would help; the message is the status."""


def failure(response: aiohttp.ClientResponse) -> Exception:
    """Returns what an answer means whose status is not 200: `Transient` or `Permanent`."""
    status = response.status
    if status in _GONE:
        return Permanent(MISSING)
    if status not in _TRY_AGAIN:
        return Permanent(f"gave up: HTTP {status}")
    return Transient(
        f"HTTP {status}",
        retry_after(response.headers.get("Retry-After", "")),
        is_busy=status == 429,
    )


async def body(response: aiohttp.ClientResponse) -> bytes:
    """Returns the body of an answer; raises `Permanent` where it is too large."""
    length = response.content_length
    if length is not None and length <= poster_decoder.MAX_BYTES:
        return await response.read()
    too_large = Permanent(f"corrupt: too large: more than {poster_decoder.MAX_BYTES:,} bytes")
    if length is not None:
        raise too_large
    data = bytearray()
    async for block in response.content.iter_chunked(_BLOCK):
        data += block
        if len(data) > poster_decoder.MAX_BYTES:
            raise too_large
    return bytes(data)


def retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks to wait: a number, or a date; 0 for anything else."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        number = web_addresses.whole_number(value)
        return math.inf if number is None else float(number)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, LookupError, OverflowError):
        return 0.0
