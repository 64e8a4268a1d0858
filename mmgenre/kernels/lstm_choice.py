"""The meaning of `config.model.lstm_kernel` on a machine."""

import functools
import logging
from collections.abc import Sequence
from typing import Any, Final

import jax

from mmgenre.config import ModelConfig
from mmgenre.errors import UserError
from mmgenre.kernels import plain_kernels
from mmgenre.kernels.lstm import Method
from mmgenre.machine import devices

_FOR_NVIDIA: Final = ("cudnn", "wavefront")

_log = logging.getLogger(__name__)


def method_of(lstm_kernel: str, units: Sequence[int], dtype: Any) -> Method:
    """Returns the method of `lstm_stack` for a `ModelConfig.lstm_kernel`.

    They all compute the same function, so a model that was trained with a kernel for GPUs is used
    elsewhere, too: without an NVIDIA GPU, and within `plain_kernels.kernels()`, they stand for
    "auto". On NVIDIA GPUs "auto" is cuDNN: it is the one that others have measured and used for
    years, while no GPU has run the wavefront yet. Where the wavefront is asked for and cannot be
    had, one line says why, and "auto" is taken.

    Args:
      lstm_kernel: the setting.
      units: of each layer.
      dtype: of the layers' inputs.
    """
    if plain_kernels.chosen():
        return "auto"
    if lstm_kernel == "scan":
        return "plain"
    capability = devices.compute_capability()
    if capability is None:
        return "auto"
    from mmgenre.kernels import cudnn_lstm, wavefront_trial

    if lstm_kernel == "wavefront":
        problems = [wavefront_trial.problem(n, dtype, capability) for n in sorted(set(units))]
        if problem := next(filter(None, problems), None):
            _say_once(problem)
        else:
            return "wavefront"
    return "cudnn" if cudnn_lstm.is_there() else "plain"


@functools.cache
def _say_once(problem: str) -> None:
    _log.warning('the LSTM is computed as by "auto", not by "wavefront": %s', problem)


def require_kernel(config: ModelConfig) -> None:
    """Raises UserError where this machine cannot train with the kernel that is asked for."""
    if config.lstm_kernel not in _FOR_NVIDIA or not config.use_overview:
        return
    name = f"config.model.lstm_kernel is {config.lstm_kernel!r}"
    capability = devices.compute_capability()
    if capability is None:
        raise UserError(
            f"{name}, which needs an NVIDIA GPU, but JAX finds only {jax.default_backend()!r} "
            'here; set it to "auto" or "scan"'
        )
    from mmgenre.kernels import cudnn_lstm, wavefront_lstm

    if config.lstm_kernel == "cudnn" and not cudnn_lstm.is_there():
        raise UserError(f'{name}, but this JAX was installed without it; set it to "auto"')
    dtype, card = config.compute_dtype, ".".join(map(str, capability))
    for units in config.lstm_units if config.lstm_kernel == "wavefront" else ():
        if not wavefront_lstm.supports(units, dtype, capability):
            raise UserError(
                f"{name}, which takes multiples of 16 units, at most "
                f"{wavefront_lstm.most_units(dtype, capability)} in {dtype} on this GPU (compute "
                f'capability {card}), not {units}. Set it to "auto" or "cudnn", or change '
                "config.model.lstm_units"
            )
