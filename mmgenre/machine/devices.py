"""JAX's devices: started once, where an answer to a mistake can still be short."""

import os

from mmgenre.errors import RunError, UserError, first_line


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
