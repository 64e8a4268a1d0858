"""The meaning of `config.model.lstm_kernel` on a machine."""

from collections.abc import Sequence
from typing import Any, Final

import jax

from mmgenre.config import ModelConfig
from mmgenre.errors import UserError
from mmgenre.kernels import plain_kernels
from mmgenre.kernels.lstm import Method
from mmgenre.machine import devices

_FOR_NVIDIA: Final = ("cudnn", "pallas")


def method_of(lstm_kernel: str, units: Sequence[int], dtype: Any) -> Method:
    """Returns the method of `lstm_stack` for a `ModelConfig.lstm_kernel`.

    They all compute the same function, so a model that was trained with a kernel for GPUs is used
    elsewhere, too: without an NVIDIA GPU, and within `plain_kernels.kernels()`, they stand for
    "auto". On NVIDIA GPUs "auto" is cuDNN, or where that is missing the fused kernel, if the card
    can hold it: the plain scan launches several kernels a token and is slower than either (an
    estimate, until `benchmarks.gpu` has run).

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
    from mmgenre.kernels import cudnn_lstm, pallas_lstm

    is_fused = all(pallas_lstm.supports(n, dtype, capability) for n in units)
    if lstm_kernel == "pallas" and is_fused:
        return "pallas"
    if cudnn_lstm.is_there():
        return "cudnn"
    return "pallas" if is_fused else "plain"


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
    from mmgenre.kernels import cudnn_lstm, pallas_lstm

    if config.lstm_kernel == "cudnn" and not cudnn_lstm.is_there():
        raise UserError(f'{name}, but this JAX was installed without it; set it to "auto"')
    dtype, card = config.compute_dtype, ".".join(map(str, capability))
    for units in config.lstm_units if config.lstm_kernel == "pallas" else ():
        if not pallas_lstm.supports(units, dtype, capability):
            raise UserError(
                f"{name}, which takes 16, 32, 64 or 128 units, and for {units} in {dtype} "
                f"{pallas_lstm.shared_bytes(units, dtype)} bytes of shared memory; this GPU, of "
                f"compute capability {card}, gives {devices.shared_memory(capability)}. Set it to "
                '"auto" or "cudnn", or change config.model.lstm_units or '
                "config.model.compute_dtype"
            )
