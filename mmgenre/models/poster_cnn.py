"""The poster's branch: 3x3 convolutions with max pooling, then a dense layer."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre.kernels import conv
from mmgenre.models.dropout import RowDropout


class PosterCNN(nn.Module):
    """A CNN from a poster to its features.

    Each convolution is 3x3 with padding SAME, followed by ReLU and 2x2 max pooling.

    Attributes:
      filters: output channels of each convolution.
      dropout_rate: after the last convolution.
      features: units of the dense layer at the end.
      dtype: that convolutions and products are computed in; parameters are float32.
    """

    filters: tuple[int, ...]
    dropout_rate: float
    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, posters: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Returns the features [batch, features], of `dtype`.

        Args:
          posters: <float32>[batch, 64, 64, 3], RGB in [0, 1].
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
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
        dense = nn.Dense(
            self.features,
            dtype=self.dtype,
            kernel_init=nn.initializers.glorot_uniform(),
            name="dense",
        )
        return nn.relu(dense(x))


def normalize_posters(posters: jax.Array) -> jax.Array:
    """Turns <uint8>[batch, 64, 64, 3] into <float32> in [0, 1]."""
    return posters.astype(jnp.float32) * (1 / 255)
