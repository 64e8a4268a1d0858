"""What a training runs on, in one line, and which settings would make it faster."""

import jax

from mmgenre.config import Config
from mmgenre.kernels import lstm_choice
from mmgenre.machine import devices


def describe(config: Config) -> str:
    """Returns the line that is logged at the start of a training.

    Such as "8 x NVIDIA H100: products in float32 as TensorFloat-32, LSTM by cudnn, data resident,
    16 steps a dispatch. Faster: --config.model.compute_dtype=bfloat16".

    Args:
      config: of the training, with a `data.mode` other than "auto".
    """
    model, kinds = config.model, sorted({device.device_kind for device in jax.devices()})
    parts = [f"products in {products(config)}"]
    if model.use_overview:
        method = lstm_choice.method_of(model.lstm_kernel, model.lstm_units, model.compute_dtype)
        parts.append(f"LSTM by {lstm_name(method)}")
    parts.append(f"data {config.data.mode}")
    if config.steps_per_dispatch > 1:
        parts.append(f"{config.steps_per_dispatch} steps a dispatch")
    line = f"{jax.device_count()} x {' and '.join(kinds)}: {', '.join(parts)}"
    advice = faster(config)
    return f"{line}. Faster, by estimate: {' '.join(advice)}" if advice else line


def products(config: Config) -> str:
    """Returns what products are computed in."""
    capability, dtype = devices.compute_capability(), config.model.compute_dtype
    is_rounded = config.model.product_precision != "highest"
    if dtype == "float32" and capability and capability >= (8, 0) and is_rounded:
        return "float32 as TensorFloat-32"
    return dtype


def lstm_name(method: str) -> str:
    """Returns what computes the LSTM, by the method of `lstm_stack`."""
    if method == "auto":
        return "fused gates" if jax.default_backend() == "cpu" else "plain scan"
    return {"plain": "plain scan", "cudnn": "cuDNN", "wavefront": "wavefront kernel"}.get(
        method, method
    )


def faster(config: Config) -> list[str]:
    """Returns the flags that should make a training on these devices faster; none on CPUs."""
    if jax.default_backend() != "gpu":
        return []
    flags, model = [], config.model
    if model.compute_dtype == "float32":
        flags.append("--config.model.compute_dtype=bfloat16")
    if model.lstm_kernel == "scan" and model.use_overview:
        flags.append("--config.model.lstm_kernel=auto")
    if config.data.mode != "resident":
        flags.append("--config.data.mode=resident")
    if config.steps_per_dispatch == 1:
        flags.append("--config.steps_per_dispatch=16")
    return flags
