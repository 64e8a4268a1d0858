"""A dense layer's product in bfloat16 whose parameters' gradients are summed in float32.

Left to JAX, a product of bfloat16 has a gradient of bfloat16: the sum over the batch is rounded to
8 bits before the devices add theirs up and Adam sees it. Here the sum leaves the product as
float32, which is what the matrix units sum in anyway.
"""

from typing import Any

import jax
import jax.numpy as jnp


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns x @ kernel <float32>[..., n], the factors rounded to the dtype of x.

    Args:
      x: <float>[..., m].
      kernel: <float32>[m, n]; its gradient is <float32>.
    """
    return _dot(x, kernel.astype(x.dtype))


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    g = g.astype(x.dtype)
    dx = _dot(g, kernel.astype(x.dtype).T).astype(x.dtype)
    return dx, _dot(x.reshape(-1, x.shape[-1]).T, g.reshape(-1, g.shape[-1]))


product.defvjp(_forward, _backward)


def options(dtype: Any) -> dict[str, Any]:
    """Returns what `flax.linen.Dense` takes to compute in a dtype by `product`.

    Its result is then <float32>: round it. Nothing where the dtype is float32: then it is the
    ordinary product.
    """
    if jnp.dtype(dtype) == jnp.float32:
        return {}
    # Named functions, so that two models of one config are equal.
    return {"promote_dtype": _round_inputs_only, "dot_general": _dot_general}


def _round_inputs_only(x: jax.Array, kernel: jax.Array, bias: Any, *, dtype: Any) -> Any:
    return x.astype(dtype), kernel, bias


def _dot_general(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    return product(x, kernel)
