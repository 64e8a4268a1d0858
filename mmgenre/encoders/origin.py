"""What an encoder is loaded from, as a digest that is read sooner than the encoder is loaded.

Files are read anew each time, never judged by their size or time: changed weights are not missed.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mmgenre.encoders.specs import SENTENCE_TRANSFORMERS, TIMM

_VERSION: Final = 1
"""Raised whenever what is recorded of an encoder changes with no file of its own."""

_PACKAGES: Final = (
    "numpy", "pillow", "sentence-transformers", "timm", "tokenizers", "torch", "transformers"
)  # fmt: skip
"""Of which the versions may change an answer."""

_NOT_ALONE: Final = "adapter_config.json"
"""Names a model elsewhere, which the folder's own weights are added to."""


def origin_digest(spec: str, declared: Sequence[str], before: float | None = None) -> str | None:
    """Returns a digest of all that decides what an encoder says; None where files do not tell.

    That is so of models that are fetched by name, and of factories whose encoder declares no
    `files`.

    Args:
      spec: of the encoder, a sound one.
      declared: the `files` of a factory's encoder.
      before: a time in seconds, as of `time.time`; None too where a file changed since then.
    """
    try:
        files = _files(spec, declared)
        if files is None:
            return None
        digest = hashlib.sha256(f"{_VERSION} {spec}\n".encode())
        for package in _PACKAGES:
            digest.update(f"{package} {_package_version(package)}\n".encode())
        for name, path in files:
            with open(path, "rb") as file:
                contents = hashlib.file_digest(file, "sha256").hexdigest()
                status = os.fstat(file.fileno())
            digest.update(f"{name} {contents}\n".encode())
            if before is not None and max(status.st_mtime, status.st_ctime) >= before:
                return None
    except Exception:  # To find a factory's module is to import the packages that it is in.
        return None  # Loading says what is wrong.
    return digest.hexdigest()


def _files(spec: str, declared: Sequence[str]) -> list[tuple[str, Path]] | None:
    """Returns (a name, the file) of all that an encoder is loaded from; None where unknown."""
    kind, _, rest = spec.partition(":")
    if kind == SENTENCE_TRANSFORMERS:
        return list(_in_folder(Path(rest))) if _stands_alone(Path(rest)) else None
    if kind == TIMM:
        name, _, weights = rest.partition("@")
        # A colon in timm's names stands before a place that the architecture comes from.
        return [("weights", Path(weights))] if weights and ":" not in name else None
    if not declared:
        return None
    module = importlib.util.find_spec(kind)
    if module is None or not module.has_location or module.origin is None:
        return None
    return [("module", Path(module.origin)), *((path, Path(path)) for path in declared)]


def _stands_alone(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.rglob(_NOT_ALONE))


def _in_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields what is not hidden, with links followed: the hub's client keeps files behind some."""
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(place, name)
                yield str(path.relative_to(folder)), path


def _package_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
