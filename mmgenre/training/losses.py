"""The training loss and what is counted beside it: sums and counts until the end."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmgenre import schema
from mmgenre.models.fusion import Batch, Evidence


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


@dataclasses.dataclass(frozen=True)
class AuxiliaryLosses:
    """Losses of what the logits are the sum of, each with the bias: so that each learns to judge.

    Attributes:
      branch: weight of the loss of each part's own logits.
      poster: weight of the loss of the poster's own logits, those of all parts that see it.
      poster_scale: what the poster's logits are multiplied by in these losses. Above 1 a poster
        counts less beside an overview than it would alone, since they say partly the same.
    """

    branch: float = 0.0
    poster: float = 0.0
    poster_scale: float = 1.0

    def sum(self, evidence: Evidence, labels: jax.Array, mask: jax.Array) -> jax.Array:
        """Returns their sum over movies and genres, <float32>[].

        Args:
          evidence: of the batch.
          labels: <float32>[batch, genres], 0 or 1.
          mask: <float32>[batch], 1 for a movie, 0 for padding of the batch.
        """
        of_poster = [self.poster_scale * logits for logits in evidence.poster]
        weighted = [(self.branch, logits) for logits in of_poster + evidence.overview]
        if of_poster:
            weighted.append((self.poster, sum(of_poster[1:], of_poster[0])))
        total = jnp.zeros(())
        for weight, logits in weighted:
            if weight:
                loss = sigmoid_cross_entropy_sum(evidence.bias + logits, labels, mask)
                total += weight * loss
        return total


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
