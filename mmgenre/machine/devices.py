"""JAX's devices: started where an answer to a mistake can still be short, and what a GPU can do."""

import os
import re
from typing import Final

from mmgenre.errors import RunError, UserError, first_line

SHARED_KIB: Final = {
    (8, 0): 163,
    (8, 6): 99,
    (8, 7): 163,
    (8, 9): 99,
    (9, 0): 227,
    (10, 0): 227,
    (10, 3): 227,
    (11, 0): 227,
    (12, 0): 99,
    (12, 1): 99,
}
"""Shared memory that a block may ask for, by compute capability (CUDA's programming guide, table of
technical specifications): an A100 is an (8, 0), an A10 an (8, 6), an L4 an (8, 9), an H100 and an
H200 are a (9, 0)."""

_LEAST_KIB: Final = 99
"""Of a card that the table does not know yet."""


def start() -> None:
    """Makes JAX look for its devices.

    Raises:
      UserError: there are none of a platform that JAX_PLATFORMS names.
      RunError: there are none at all.
    """
    import jax

    try:
        jax.local_devices()
    except Exception as error:  # Of several kinds, a bare AssertionError among them.
        if platforms := os.environ.get("JAX_PLATFORMS"):
            raise UserError(
                f"JAX_PLATFORMS is {platforms!r}, but JAX finds no such device here; unset it, "
                "or set it to cpu"
            ) from error
        raise RunError(f"JAX finds no device: {first_line(error)}") from error


def compute_capability() -> tuple[int, int] | None:
    """Returns that of the first GPU of this process; None where it is no NVIDIA GPU."""
    import jax

    if jax.default_backend() != "gpu":
        return None
    name = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    match = re.fullmatch(r"(\d+)\.(\d+)", name)  # AMD's are called gfx90a and the like.
    return (int(match[1]), int(match[2])) if match else None


def shared_memory(capability: tuple[int, int]) -> int:
    """Returns the bytes of shared memory that a block may have on a card."""
    return 1024 * SHARED_KIB.get(capability, _LEAST_KIB)
