"""The meaning of `config.model.lstm_kernel` on a machine."""

from typing import Final

import jax

from mmgenre.config import ModelConfig
from mmgenre.errors import UserError
from mmgenre.kernels import plain_kernels
from mmgenre.kernels.lstm import Method

_GPU_KERNELS: Final[dict[str, Method]] = {"cudnn": "cudnn", "pallas": "pallas"}


def method_of(lstm_kernel: str) -> Method:
    """Returns the method of `lstm_stack` for a `ModelConfig.lstm_kernel`.

    They all compute the same function, so a model that was trained with a kernel for GPUs is used
    elsewhere, too: without a GPU, and within `plain_kernels.kernels()`, they stand for "auto".
    """
    if plain_kernels.chosen():
        return "auto"
    if lstm_kernel == "scan":
        return "plain"
    is_gpu = jax.default_backend() == "gpu"
    return _GPU_KERNELS.get(lstm_kernel, "auto") if is_gpu else "auto"


def require_kernel(config: ModelConfig) -> None:
    """Raises UserError where this machine cannot train with the kernel that is asked for."""
    if config.lstm_kernel not in _GPU_KERNELS or not config.use_overview:
        return
    name = f"config.model.lstm_kernel is {config.lstm_kernel!r}"
    if jax.default_backend() != "gpu":
        raise UserError(
            f"{name}, which needs a GPU, but JAX finds only {jax.default_backend()!r} here; "
            'set it to "auto" or "scan"'
        )
    from mmgenre.kernels import pallas_lstm

    if config.lstm_kernel == "pallas" and not all(map(pallas_lstm.supports, config.lstm_units)):
        raise UserError(
            f"{name}, which takes 16, 32, 64 or 128 units, but config.model.lstm_units is "
            f'{config.lstm_units}; set it to "auto", "scan" or "cudnn"'
        )
