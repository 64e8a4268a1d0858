"""The poster's branch: 3x3 convolutions with max pooling, then a dense layer."""

from typing import Final

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre.kernels import conv, dense
from mmgenre.models.dropout import RowDropout, hash_bits


class PosterCNN(nn.Module):
    """A CNN from a poster to its features.

    Each convolution is 3x3 with padding SAME, followed by ReLU and 2x2 max pooling.

    Attributes:
      filters: output channels of each convolution.
      dropout_rate: after the last convolution.
      features: units of the dense layer at the end.
      dtype: that convolutions and products are computed in; parameters are float32.
      augment: whether training sees posters changed at random; see `augment_posters`.
    """

    filters: tuple[int, ...]
    dropout_rate: float
    features: int
    dtype: jnp.dtype = jnp.float32
    augment: bool = False

    @nn.compact
    def __call__(self, posters: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Returns the features [batch, features], of `dtype`.

        Args:
          posters: <float32>[batch, 64, 64, 3], RGB in [0, 1].
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
        if self.augment and not deterministic:
            posters = augment_posters(self.make_rng("dropout"), rows, posters)
        layers, channels = [], posters.shape[-1]
        for index, filters in enumerate(self.filters):
            shape = (3, 3, channels, filters)
            kernel = self.param(f"conv{index}_kernel", nn.initializers.glorot_uniform(), shape)
            bias = self.param(f"conv{index}_bias", nn.initializers.zeros, (filters,))
            layers.append((kernel, bias))
            channels = filters
        x = conv.conv_stack(posters.astype(self.dtype), layers)
        x = x.reshape((x.shape[0], -1))
        # Dropout before or after flattening is the same function.
        x = RowDropout(self.dropout_rate)(x, rows, deterministic=deterministic)
        layer = nn.Dense(
            self.features,
            dtype=self.dtype,
            kernel_init=nn.initializers.glorot_uniform(),
            name="dense",
            **dense.options(self.dtype),
        )
        return nn.relu(layer(x)).astype(self.dtype)


def normalize_posters(posters: jax.Array) -> jax.Array:
    """Turns <uint8>[batch, 64, 64, 3] into <float32> in [0, 1]."""
    return posters.astype(jnp.float32) * (1 / 255)


_MAX_SHIFT: Final = 4
_BRIGHTNESS: Final = 0.2


def augment_posters(key: jax.Array, rows: jax.Array, posters: jax.Array) -> jax.Array:
    """Mirrors, shifts by up to 4 pixels and brightens by up to 20%, at random for each movie.

    A missing poster, all zeros, stays one. What is shifted in repeats the edge.

    Args:
      key: a PRNG key.
      rows: <int32>[batch], places in the global batch: they decide, so any layout sees the same.
      posters: <float32>[batch, 64, 64, 3].

    Returns:
      <float32>[batch, 64, 64, 3].
    """
    bits = hash_bits(key, rows, (4,))
    shifts = (bits[:, :2] % (2 * _MAX_SHIFT + 1)).astype(jnp.int32) - _MAX_SHIFT
    place = jnp.arange(posters.shape[1])
    down, across = (jnp.clip(place + shifts[:, i, None], 0, len(place) - 1) for i in (0, 1))
    across = jnp.where((bits[:, 2] >> 31)[:, None] == 1, across[:, ::-1], across)
    posters = jnp.take_along_axis(posters, down[:, :, None, None], axis=1)
    posters = jnp.take_along_axis(posters, across[:, None, :, None], axis=2)
    brightness = 1 + _BRIGHTNESS * (bits[:, 3].astype(jnp.float32) / 2.0**31 - 1)
    return jnp.minimum(posters * brightness[:, None, None, None], 1)
