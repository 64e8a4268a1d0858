"""The training loss and what is counted beside it: sums and counts until the end."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmgenre import schema
from mmgenre.models.fusion import Batch


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


def batch_counts(logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Returns what can be added up over batches, each <float32>[].

    "num_labels" decisions, "loss" summed over them, "correct" decisions at threshold 0.5,
    "true_positives", "predicted" and "actual" positives.

    Args:
      logits: <float32>[batch, genres].
      batch: "labels" [batch, genres] and "mask" <float32>[batch].
    """
    mask = batch[schema.MASK]
    labels = batch[schema.LABELS].astype(jnp.float32)
    predicted = (logits >= 0).astype(jnp.float32)
    weight = jnp.broadcast_to(mask[:, None], logits.shape)
    return {
        "num_labels": weight.sum(),
        "loss": sigmoid_cross_entropy_sum(logits, labels, mask),
        "correct": ((predicted == labels) * weight).sum(),
        "true_positives": (predicted * labels * weight).sum(),
        "predicted": (predicted * weight).sum(),
        "actual": (labels * weight).sum(),
    }


def summarize_counts(counts: dict[str, Any]) -> dict[str, float]:
    """Turns summed `batch_counts` into "loss", "accuracy" and micro "f1"."""
    positives = counts["predicted"] + counts["actual"]
    return {
        "loss": float(counts["loss"] / counts["num_labels"]),
        "accuracy": float(counts["correct"] / counts["num_labels"]),
        "f1": float(2 * counts["true_positives"] / positives) if positives else 0.0,
    }
