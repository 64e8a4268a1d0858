"""Stacks of 3x3 convolution, ReLU and 2x2 max pooling."""

from collections.abc import Sequence

import flax.linen as nn
import jax
from jax import lax


def conv_stack(posters: jax.Array, layers: Sequence[tuple[jax.Array, jax.Array]]) -> jax.Array:
    x = posters
    for kernel, bias in layers:
        x = lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = nn.max_pool(nn.relu(x + bias[None, None, None]), (2, 2), (2, 2))
    return x
