"""Places where a poster's bytes come from: a file or an address. Standard library only."""

import os
from pathlib import Path
from typing import Final, Literal

from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses
from mmgenre.inputs.poster_decoder import MAX_BYTES

_TIMEOUT: Final = 10.0
"""Seconds to connect, and to wait for the server's next bytes."""

_DEADLINE: Final = 30.0
"""Seconds for the whole download: a server that drips bytes would hold us for ever."""

Addresses = Literal["any", "public", "none"]
"""Addresses that are fetched: all, those outside of private networks and this machine, or none."""


class AddressNotFetched(UserError):
    """A poster is at an address, and such addresses are not to be fetched."""


class PosterNotThere(UserError):
    """The server has no such poster."""


def is_url(source: str) -> bool:
    """Whether a string names a place on the web rather than a file."""
    return "://" in source


def read_poster(source: str | os.PathLike[str], addresses: Addresses = "any") -> bytes:
    """Reads the bytes of a poster, at most `MAX_BYTES`; they may be no image at all.

    Args:
      source: a file's path, or a URL with http or https.
      addresses: that are fetched. Where the user did not write `source`, not "any".

    Raises:
      AddressNotFetched: it is at an address that `addresses` excludes.
      UserError: it does not exist, cannot be read in time, or is larger.
    """
    if isinstance(source, str) and is_url(source):
        return _download(source, addresses)
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


def _download(url: str, addresses: Addresses) -> bytes:
    if addresses == "none":
        raise AddressNotFetched(f"the poster {url} is an address, and those are not fetched")
    return fetch_poster(
        url, web_addresses.PUBLIC if addresses == "public" else web_addresses.ANYWHERE
    )


def fetch_poster(url: str, reach: web_addresses.Reach) -> bytes:
    """Fetches the bytes of a poster, as `read_poster`, from where `reach` allows.

    Raises:
      AddressNotFetched: it is, or leads, out of reach.
      PosterNotThere: the server has no such file.
      UserError: it cannot be read in time, or is larger.
    """
    # Imported here: most posters are files, and prediction starts sooner.
    from mmgenre.inputs import web_download

    try:
        return web_download.download(
            url, max_bytes=MAX_BYTES, timeout=_TIMEOUT, deadline=_DEADLINE, reach=reach
        )
    except web_addresses.Refused as error:
        raise AddressNotFetched(f"cannot fetch the poster {url}: {error}") from error
    except web_download.NotThere as error:
        raise PosterNotThere(f"cannot fetch the poster {url}: {error}") from error
    except web_download.DownloadError as error:
        raise UserError(f"cannot fetch the poster {url}: {error}") from error
