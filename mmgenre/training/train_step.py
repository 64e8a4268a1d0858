"""The training step: a pure function, mapped over the devices by `device_mapping`.

It runs once per device, on its rows of the global batch, inside a mapped axis called `AXIS`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmgenre import schema
from mmgenre.distributed.device_mapping import AXIS
from mmgenre.models.fusion import Batch, FusionModel, products_of
from mmgenre.training import losses
from mmgenre.training.state import TrainState


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: FusionModel,
    optimizer: optax.GradientTransformation,
    dropout_key: jax.Array,
    auxiliary: losses.AuxiliaryLosses,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Does one step of training.

    Args:
      state: the same on all devices.
      batch: this device's rows of the global batch; see `mmgenre.schema`.
      model: computes the logits.
      optimizer: turns gradients into updates.
      dropout_key: the key of the dropout stream, the same on all devices.
      auxiliary: losses that the gradient gets and the reported loss does not.

    Returns:
      The next state and the sums of `losses.batch_counts` over the global batch, with the
      "grad_norm" <float32>[] of the global gradient; all the same on all devices.
    """
    step_key = jax.random.fold_in(dropout_key, state.step)
    num_labels = jax.lax.psum(batch[schema.MASK].sum(), AXIS) * batch[schema.LABELS].shape[1]

    def loss_share(params: Any) -> tuple[jax.Array, jax.Array]:
        outputs: Any = model.apply(
            {"params": params},
            batch,
            deterministic=False,
            rngs={"dropout": step_key},
            method=model.logits_and_evidence,
        )
        logits, evidence = outputs
        labels = batch[schema.LABELS].astype(logits.dtype)
        loss_sum = losses.sigmoid_cross_entropy_sum(logits, labels, batch[schema.MASK])
        if evidence is not None:
            loss_sum += auxiliary.sum(evidence, labels, batch[schema.MASK])
        # Divided by the global count, the devices' shares add up to the mean of the global batch.
        return loss_sum / jnp.maximum(num_labels, 1), logits

    with products_of(model):
        (_, logits), grads = jax.value_and_grad(loss_share, has_aux=True)(state.params)
    grads = jax.lax.psum(grads, AXIS)
    sums = jax.lax.psum(losses.batch_counts(logits, batch), AXIS)
    sums["grad_norm"] = optax.tree.norm(grads)
    return state.apply_gradients(grads, optimizer), sums
