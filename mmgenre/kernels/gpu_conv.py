"""A 3x3 convolution by XLA, with bias, ReLU and 2x2 max pooling whose gradient is no scatter: for
GPUs.

Differentiated by XLA, max pooling becomes a scatter (on a GPU additions by atomics), and everything
before it is kept for the way back. Here bias and ReLU come after the maximum, which they commute
with, on a quarter of the values; kept is one byte for each of those, the window's winner; and the
gradient is an element-wise choice by that byte.
"""

import jax
import jax.numpy as jnp
from jax import lax

_OFF = 4  # The code of a window that ReLU switched off; else the place of the winner, 0 to 3.


def layer(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """max_pool(relu(conv(x, kernel) + bias)), dtype of x; SAME padding.

    Args:
      x: <float>[N, H, W, C].
      kernel: <float32>[3, 3, C, F].
      bias: <float32>[F].

    Returns:
      [N, H//2, W//2, F]; of places that tie the first gets the gradient.
    """
    y = lax.conv_general_dilated(
        x, kernel.astype(x.dtype), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return pool(y, bias)


def pool(y: jax.Array, bias: jax.Array) -> jax.Array:
    """max_pool(relu(y + bias)): [N, H, W, F] and <float32>[F] to [N, H//2, W//2, F]."""
    height, width = (size // 2 * 2 for size in y.shape[1:3])
    return _pool_even(y[:, :height, :width], bias)


@jax.custom_vjp
def _pool_even(y: jax.Array, bias: jax.Array) -> jax.Array:
    return _forward(y, bias)[0]


def _forward(y: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array]:
    maximum, winner = y[:, ::2, ::2], jnp.int8(0)
    for index, (a, b) in enumerate(((0, 1), (1, 0), (1, 1)), start=1):
        place = y[:, a::2, b::2]
        winner = jnp.where(place > maximum, jnp.int8(index), winner)
        maximum = jnp.maximum(maximum, place)
    output = jax.nn.relu(maximum + bias.astype(y.dtype))
    return output, jnp.where(output > 0, winner, jnp.int8(_OFF))


def _backward(code: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    n, height, width, filters = g.shape
    places = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    chosen = code[:, :, None, :, None] == places
    dy = jnp.where(chosen, g[:, :, None, :, None], jnp.zeros((), g.dtype))
    d_bias = jnp.where(code == _OFF, 0, g).sum((0, 1, 2), dtype=jnp.float32)
    return dy.reshape(n, 2 * height, 2 * width, filters), d_bias


_pool_even.defvjp(_forward, _backward)
