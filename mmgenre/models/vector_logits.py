"""Logits of a frozen encoder's vector: further evidence in the model's sum of logits."""

from typing import Final

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgenre.models.dropout import RowDropout

_LARGEST: Final = 6.0
"""Standard deviations: values that few movies have would outweigh all others."""


class VectorLogits(nn.Module):
    """Logits from a small network on a vector; zeros for a movie that has none (all zeros).

    Parameters: "mean" and "scale" <float32>[size], constant, from `standardisation`; the dense
    layers'.

    Attributes:
      size: values of a vector.
      units: of the hidden layer; 0 for a linear map.
      dropout_rate: on the vector and on the hidden layer.
      num_genres: logits.
    """

    size: int
    units: int
    dropout_rate: float
    num_genres: int

    @nn.compact
    def __call__(self, vectors: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Returns the logits <float32>[batch, genres].

        Args:
          vectors: <float>[batch, size].
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
        mean = jax.lax.stop_gradient(self.param("mean", nn.initializers.zeros, (self.size,)))
        scale = jax.lax.stop_gradient(self.param("scale", nn.initializers.ones, (self.size,)))
        x = jnp.clip((vectors.astype(jnp.float32) - mean) * scale, -_LARGEST, _LARGEST)
        x = RowDropout(self.dropout_rate)(x, rows, deterministic=deterministic)
        if self.units:
            glorot = nn.initializers.glorot_uniform()
            x = nn.relu(nn.Dense(self.units, kernel_init=glorot, name="hidden")(x))
            x = RowDropout(self.dropout_rate)(x, rows, deterministic=deterministic)
        small = nn.initializers.normal(stddev=0.01)
        term = nn.Dense(
            self.num_genres, kernel_init=small, use_bias=False, precision="highest", name="logits"
        )
        is_there = (vectors != 0).any(axis=-1, keepdims=True)
        return jnp.where(is_there, term(x), 0)


def standardisation(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns "mean" and "scale" <float32>[size] of vectors <float>[movies, size] to train on.

    Those of the movies that have one; the scale is one over the standard deviation, and 0 for what
    is the same for all.
    """
    there = vectors[(vectors != 0).any(axis=1)].astype(np.float32)
    if not len(there):
        return np.zeros(vectors.shape[1], np.float32), np.ones(vectors.shape[1], np.float32)
    deviation = there.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    return there.mean(axis=0), scale.astype(np.float32)
