"""The evaluation steps: pure functions that `mmgenre.distributed.device_mapping` maps over devices.

They gather their results over the devices, so that each process has the answers for all movies.
"""

from typing import Any

import jax

from mmgenre import schema
from mmgenre.distributed.device_mapping import AXIS
from mmgenre.models.fusion import Batch, FusionModel, products_of
from mmgenre.models.predict_step import predict_step
from mmgenre.models.views import view_logits


def eval_step(params: Any, batch: Batch, *, model: FusionModel) -> tuple[jax.Array, jax.Array]:
    """Returns logits <float32>[global batch, genres] and labels <uint8>[global batch, genres]."""
    rows = predict_step(params, batch, model=model), batch[schema.LABELS]
    return jax.lax.all_gather(rows, AXIS, tiled=True)


def eval_views_step(
    params: Any, batch: Batch, *, model: FusionModel
) -> tuple[jax.Array, jax.Array]:
    """As `eval_step`, but the logits are `views.view_logits` <float32>[global batch, 3, genres]."""
    with products_of(model):
        rows = view_logits(model, params, batch), batch[schema.LABELS]
    return jax.lax.all_gather(rows, AXIS, tiled=True)
