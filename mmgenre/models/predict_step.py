"""The prediction step: logits of a batch, without dropout."""

from typing import Any

import jax

from mmgenre.models.fusion import Batch, FusionModel, products_of


def predict_step(params: Any, batch: Batch, *, model: FusionModel) -> jax.Array:
    """Returns the logits <float32>[batch, genres] of this device's rows, without dropout."""
    with products_of(model):
        logits: Any = model.apply({"params": params}, batch, deterministic=True)
    return logits
