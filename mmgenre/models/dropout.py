"""Dropout whose mask is a function of the movie's place in the global batch.

`flax.linen.Dropout` draws one block of random bits for the batch that a device holds, so that the
masks, and with them the training, depend on how many devices share the batch. Here each bit comes
from a hash of (key, row of the global batch, position in the row): the same on any layout, and an
order of magnitude cheaper than Threefry, since it fuses with the multiplication.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


class RowDropout(nn.Module):
    """Zeroes each value with probability `rate` and scales the others by 1 / (1 - rate).

    Attributes:
      rate: probability of zeroing, in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Applies dropout.

        Args:
          x: <float>[batch, ...].
          rows: <int32>[batch], each movie's place in the global batch.
          deterministic: True returns `x` itself and needs no "dropout" stream.

        Returns:
          <float>[batch, ...], of x's dtype.
        """
        if deterministic or self.rate == 0:
            return x
        key, shape = self.make_rng("dropout"), x.shape[1:]
        # In float32 even for bfloat16, which would round 1 / (1 - rate) for all values alike.
        return (x * dropout_mask(key, rows, shape, self.rate, jnp.float32)).astype(x.dtype)


def dropout_mask(
    key: jax.Array, rows: jax.Array, shape: tuple[int, ...], rate: float, dtype: jnp.dtype
) -> jax.Array:
    """Returns what dropout multiplies by: [batch, *shape] of 0 and 1 / (1 - rate).

    Args:
      key: a PRNG key.
      rows: <int32>[batch], each movie's place in the global batch.
      shape: of one movie's values.
      rate: probability of 0.
      dtype: of the result.
    """
    keep = hash_bits(key, rows, shape) >= jnp.uint32(round(rate * 2**32))
    return jnp.where(keep, 1 / (1 - rate), 0).astype(dtype)


def hash_bits(key: jax.Array, rows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Returns <uint32>[batch, *shape], uniform bits that depend on `key`, row and position alone.

    The mixing function is lowbias32 of C. Wellons' hash-prospector, applied to the row and then to
    the position within it.
    """
    key_low, key_high = jax.random.key_data(key)
    row_bits = _lowbias32(_lowbias32(rows.astype(jnp.uint32) ^ key_low) + key_high)
    columns = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape((1, *shape))
    columns *= jnp.uint32(0x9E3779B9)  # 2**32 / golden ratio: neighbours differ in many bits.
    return _lowbias32(row_bits.reshape((-1, *(1 for _ in shape))) + columns)


def _lowbias32(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
