"""The parameters of a run's best checkpoint, for whoever does not train. No TensorFlow."""

import functools
from typing import Any

from mmgenre.dataset import random_streams
from mmgenre.distributed import device_mapping
from mmgenre.errors import UserError
from mmgenre.models import fusion
from mmgenre.runs.checkpoint_format import PARAMS
from mmgenre.runs.directory import RunDirectory


def load_best_params(run: RunDirectory, model: fusion.FusionModel) -> tuple[Any, int]:
    """Reads the parameters of a run's best checkpoint, and the step that it was saved at.

    Raises:
      UserError: there is no checkpoint yet, or it is damaged.
    """
    from mmgenre.runs.checkpoints import (
        RunCheckpoints,  # Orbax: only once it is known to be needed.
    )

    like = device_mapping.jit_replicated(functools.partial(fusion.init_params, model)).eval_shape(
        random_streams.init_key(0)
    )
    with RunCheckpoints(run.checkpoints, read_only=True) as checkpoints:
        best = checkpoints.best()
        step = best[0] if best else checkpoints.latest_step()
        if step is None:
            raise UserError(f"{run.path} has no checkpoint yet; let the training run reach one")
        return checkpoints.restore(step, {PARAMS: like}).state[PARAMS], step
