"""A stack of 3x3 convolutions with bias, ReLU and 2x2 max pooling: one function, some methods."""

from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from mmgenre.kernels import gpu_conv, patch_conv, plain_kernels, winograd

Method = Literal["auto", "plain", "direct", "winograd"]
Layer = tuple[jax.Array, jax.Array]
_Residuals = tuple[jax.Array, jax.Array, jax.Array]

# At most this many input channels make a patch product cheaper than Winograd's transforms.
FEW_CHANNELS = 4
# A chunk is a compromise: large matrices multiply faster, but what lies between the products must
# stay in the cache. Measured on AMD Milan (512 KiB of L2 a core, 32 MiB of shared L3), in input
# elements of a chunk of movies.
CHUNK_ELEMENTS = 128 * 1024
# Not measured: `benchmarks.gpu --conv` compares it with "plain".
GPU_METHOD: Method = "direct"


def conv_stack(
    posters: jax.Array, layers: Sequence[Layer], *, method: Method = "auto"
) -> jax.Array:
    """Applies `layers` in turn: 3x3 convolution with SAME padding, bias, ReLU, 2x2 max pooling.

    Args:
      posters: <float>[N, H, W, C].
      layers: of each layer the kernel <float>[3, 3, C, F] and the bias <float>[F].
      method: "plain" calls XLA's convolution and leaves the gradient to XLA: the reference.
        "direct" calls it, too: see `gpu_conv`. "winograd" is for CPUs: it computes in float32
        whatever the input, with rounding errors some ten times those of "plain" (about 1e-5 of the
        largest output). "auto" is "winograd" on a CPU, `GPU_METHOD` elsewhere, and "plain" within
        `plain_kernels.kernels()`.

    Where several places of a pooling window tie, "plain" sends the gradient to the first.
    "winograd" does too, but its rounding differs from place to place, so that where exact
    arithmetic would tie (in flat areas of a poster) it may pick any one of them: another
    subgradient, as valid.

    Returns:
      <float>[N, H', W', F'], each layer halving height and width (rounded down); dtype of the
      posters.
    """
    if method == "auto":
        fast = "winograd" if jax.default_backend() == "cpu" else GPU_METHOD
        method = "plain" if plain_kernels.chosen() else fast
    if method not in ("plain", "direct", "winograd"):
        raise ValueError(f"unknown method {method!r}")
    if method != "winograd":
        layer = _plain_layer if method == "plain" else gpu_conv.layer
        for kernel, bias in layers:
            posters = layer(posters, kernel, bias)
        return posters
    x = posters.astype(jnp.float32)
    for kernel, bias in layers:
        x = fast_layer(x, kernel.astype(jnp.float32), bias.astype(jnp.float32))
    return x.astype(posters.dtype)


def _plain_layer(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    y = lax.conv_general_dilated(
        x, kernel.astype(x.dtype), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    y = jax.nn.relu(y + bias.astype(x.dtype))
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _algorithm(kernel: jax.Array) -> ModuleType:
    return patch_conv if kernel.shape[2] <= FEW_CHANNELS else winograd


def _chunk(x: jax.Array, kernel: jax.Array) -> int:
    elements = x.shape[1] * x.shape[2] * max(kernel.shape[2], kernel.shape[3] // 2)
    return max(1, CHUNK_ELEMENTS // elements)


@jax.custom_vjp
def fast_layer(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """One layer in float32: <float32>[N, H, W, C] to <float32>[N, H//2, W//2, F]."""
    return _algorithm(kernel).forward(x, kernel, bias, chunk=_chunk(x, kernel))[0]


def _fast_layer_forward(
    x: jax.Array, kernel: jax.Array, bias: jax.Array
) -> tuple[jax.Array, _Residuals]:
    output, code = _algorithm(kernel).forward(x, kernel, bias, chunk=_chunk(x, kernel))
    return output, (x, kernel, code)


def _fast_layer_backward(
    residuals: _Residuals, g: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel, code = residuals
    return _algorithm(kernel).backward(x, kernel, code, g, chunk=_chunk(x, kernel))


fast_layer.defvjp(_fast_layer_forward, _fast_layer_backward)
