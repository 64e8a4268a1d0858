"""The training loss, as a sum and a count until the end."""

import jax
import optax


def sigmoid_cross_entropy_sum(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the sum over movies and genres of the sigmoid cross-entropy, <float32>[].

    Divide by the number of real movies times the number of genres for the mean: sums, unlike means,
    can be added up over devices and batches.

    Args:
      logits: <float32>[batch, genres].
      labels: <float32>[batch, genres], 0 or 1.
      mask: <float32>[batch], 1 for a movie, 0 for padding of the batch.
    """
    losses_BxG = optax.sigmoid_binary_cross_entropy(logits, labels)
    return (losses_BxG * mask[:, None]).sum()
