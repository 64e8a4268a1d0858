"""Parts that the convolutions share: the pooling window's winner, and a fast sum."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

# A pooled output's code is the place of its 2x2 window that won, 0 to 3, or OFF where ReLU switched
# it off. It is a float because XLA compares bytes so slowly on a CPU that a layer's backward pass
# took 1.6 times as long.
OFF = 4.0


def max_and_winner(window: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The maximum of four arrays and the index of the first that reaches it, as a float."""
    a, b, c, d = window
    maximum = jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    index = jnp.where(c == maximum, 2.0, 3.0)
    index = jnp.where(b == maximum, 1.0, index)
    return maximum, jnp.where(a == maximum, 0.0, index)


def sum_rows(array: jax.Array) -> jax.Array:
    """The sum of a matrix over its rows, as a product: XLA's reduction is slower on a CPU."""
    return (jnp.ones((1, array.shape[0]), array.dtype) @ array)[0]
