"""The evaluation steps: pure functions that `mmgenre.distributed.device_mapping` maps over devices.

They gather their results over the devices, so that each process has the answers for all movies.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

from mmgenre import schema
from mmgenre.distributed import device_mapping
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


@functools.cache
def compiled_views(model: FusionModel) -> Callable[..., Any]:
    """Returns `eval_views_step` over all devices: once for all the splits of a run.

    Validation after each epoch takes it, too, for the logits of whole movies, which are those of
    `eval_step` to the last bit: it costs a tenth more, and saves a program for each length.
    """
    return device_mapping.jit_eval_step(functools.partial(eval_views_step, model=model))
