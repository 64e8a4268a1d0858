"""Versions of the files in a run: what an older program wrote is read, what a newer one did is not.

A file says its version under `KEY`. One that does not say it is of version 1: the first programs
wrote none.
"""

from collections.abc import Mapping
from typing import Any, Final

from etils import epath

from mmgenre.errors import UserError

KEY: Final = "format_version"


def require_known(path: epath.Path, fields: Any, newest: int) -> None:
    """Checks that this program knows the version of a file.

    Args:
      path: of the file.
      fields: what it holds; what is no mapping is left to whoever reads it.
      newest: the version that this program writes.

    Raises:
      UserError: a newer program wrote the file.
      ValueError: its version is no whole number from 1 on.
    """
    version = fields.get(KEY, 1) if isinstance(fields, Mapping) else 1
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"its {KEY} is {version!r}")
    if version > newest:
        raise UserError(
            f"{path} has format version {version}, this program reads up to {newest}; a newer "
            "mmgenre wrote it: use that one"
        )
