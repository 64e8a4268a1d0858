"""Where a poster's bytes come from: a file, or an address on the web. Standard library only."""

import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Final

from mmgenre.errors import UserError
from mmgenre.inputs.poster_decoder import MAX_BYTES

_TIMEOUT: Final = 10.0
"""Seconds to wait for the server's next bytes."""

_DEADLINE: Final = 30.0
"""Seconds for the whole download: a server that drips bytes would hold us for ever."""

_CHUNK: Final = 1 << 16
_SCHEMES: Final = ("http", "https")


def is_url(source: str) -> bool:
    """Whether a string names a place on the web rather than a file."""
    return "://" in source


def read_poster(source: str | os.PathLike[str]) -> bytes:
    """Reads the bytes of a poster, at most `posters.MAX_BYTES`; they may be no image at all.

    Args:
      source: a file's path, or a URL with http or https.

    Raises:
      UserError: it does not exist, cannot be read in time, or is larger.
    """
    if isinstance(source, str) and is_url(source):
        return _download(source)
    path = Path(source)
    try:
        if path.is_dir():
            raise UserError(f"the poster {path} is a folder; give an image file")
        # Not `read_bytes`: the file may be a device, or grow.
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path.
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read the poster {path}: {reason}") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"the poster {path} is larger than {MAX_BYTES:,} bytes")
    return data


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone; the standard one would go to ftp as well."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """Returns the request of the new address; see the base class."""
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str) -> bytes:
    _check_scheme(url)
    opener = urllib.request.build_opener(_WebRedirects)
    deadline = time.monotonic() + _DEADLINE
    try:
        request = urllib.request.Request(
            url, headers={"User-Agent": "mmgenre", "Accept": "image/*"}
        )
        with opener.open(request, timeout=_TIMEOUT) as response:
            data = bytearray()
            while chunk := response.read1(_CHUNK):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise UserError(f"the poster at {url} is larger than {MAX_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise UserError(f"the poster at {url} took more than {_DEADLINE:.0f} seconds")
    except urllib.error.HTTPError as error:
        raise UserError(f"cannot fetch the poster {url}: the server says {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"cannot fetch the poster {url}: {reason}") from error
    expected = response.headers.get("Content-Length", "")
    if expected.isdigit() and len(data) < int(expected):
        raise UserError(f"the poster at {url} ended after {len(data):,} of {expected} bytes")
    return bytes(data)


def _check_scheme(url: str) -> None:
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme not in _SCHEMES:
        raise UserError(f"cannot fetch the poster {url}: only http and https are, not {scheme!r}")
