"""Tracing a model for another machine than this one: the kernels that every backend has."""

import contextlib
import contextvars
from collections.abc import Iterator

_chosen = contextvars.ContextVar("plain_kernels", default=False)


@contextlib.contextmanager
def kernels() -> Iterator[None]:
    """Makes what is traced inside use plain XLA operations, which any backend compiles."""
    token = _chosen.set(True)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen() -> bool:
    """Whether the plain kernels are asked for."""
    return _chosen.get()
