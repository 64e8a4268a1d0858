"""The token that clients of a server must show, where it has one."""

import hashlib
import hmac
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from mmgenre.errors import UserError
from mmgenre.prediction.web_guard import Refused

VARIABLE: Final = "MMGENRE_TOKEN"
"""The environment variable that may hold the token."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*", re.ASCII)
"""As RFC 6750 has it, and long enough not to be guessed."""

_MAX_FILE: Final = 4096


def read_token(file: Path | None) -> str | None:
    """Returns the token of a file, or else of the environment; None where neither has one.

    Raises:
      UserError: the file cannot be read, or the token is too short or has other characters.
    """
    where = f"the file {file}" if file is not None else f"the variable {VARIABLE}"
    if file is not None:
        try:
            with file.open("rb") as opened:
                token = opened.read(_MAX_FILE).decode("ascii", "replace").strip()
        except OSError as error:
            raise UserError(f"cannot read the token from {file}: {error.strerror}") from error
    elif VARIABLE in os.environ:
        token = os.environ[VARIABLE].strip()
    else:
        return None
    if not _TOKEN.fullmatch(token):
        raise UserError(
            f"the token in {where} is to have 16 to 512 characters, letters, digits and ._~+/- "
            "only; make one with: openssl rand -hex 32"
        )
    return token


def admission(token: str | None, open_paths: frozenset[str]) -> Callable[[Scope], None]:
    """Returns what raises `Refused` for a request without the token; see `Guard`.

    Args:
      token: None to admit all.
      open_paths: those that need none.
    """
    expected = None if token is None else _digest(token.encode())

    def admit(scope: Scope) -> None:
        if expected is None or scope["path"] in open_paths:
            return
        kind, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        # In constant time, whatever the length of what is shown.
        same = hmac.compare_digest(_digest(shown.strip().encode()), expected)
        if kind.lower() != "bearer" or not same:
            raise Refused(
                401,
                "this server answers those who send its token: Authorization: Bearer <token>",
                {"WWW-Authenticate": "Bearer"},
            )

    return admit


def _digest(shown: bytes) -> bytes:
    return hashlib.sha256(shown).digest()
