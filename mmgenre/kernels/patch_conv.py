"""A 3x3 convolution of few input channels, with bias, ReLU and 2x2 max pooling, for CPUs.

The four outputs of a pooling window together see a 4x4 patch of the input. So one matrix product of
those patches, `[windows, 16 C] @ [16 C, 4 F]`, with the kernel laid into its four places among
zeros, computes whole windows. It multiplies 16/9 as much as needed, and still wins: with 3 channels
a patch of 3x3 is too short to copy and to multiply fast, while here rows are long and the four
candidates of the maximum lie side by side.

Suffixes: N movies, H W rows and columns, C channels, T U rows and columns of windows, F filters.
"""

import jax
import jax.numpy as jnp
from jax import lax

from mmgenre.kernels.chunks import map_chunks, scan_sum_chunks
from mmgenre.kernels.pooling import OFF, max_and_winner, sum_rows


def _patches(x_NxHxWxC: jax.Array) -> jax.Array:
    """The 4x4 input patch of each window, by row, column, channel: <float32>[N, T, U, 16 C]."""
    n, h, w, c = x_NxHxWxC.shape
    t, u = h // 2, w // 2
    padded = jnp.pad(x_NxHxWxC[:, :, : 2 * u + 1], ((0, 0), (1, 1), (1, 1), (0, 0)))[
        :, :, : 2 * u + 2
    ]
    pieces = []
    for row in range(4):
        pairs = padded[:, row : row + 2 * t : 2].reshape(n, t, u + 1, 2 * c)
        pieces += [pairs[:, :, :u], pairs[:, :, 1:]]
    return jnp.concatenate(pieces, axis=-1)


def _window_kernel(kernel_3x3xCxF: jax.Array) -> jax.Array:
    """The kernel in the four places of a window: <float32>[16 C, 4 F]."""
    _, _, c, f = kernel_3x3xCxF.shape
    places = [
        jnp.pad(kernel_3x3xCxF, ((a, 1 - a), (b, 1 - b), (0, 0), (0, 0)))
        for a in range(2)
        for b in range(2)
    ]
    return jnp.stack(places, axis=3).reshape(16 * c, 4 * f)


def _window_kernel_adjoint(d: jax.Array, c: int, f: int) -> jax.Array:
    """The transpose of `_window_kernel`: <float32>[16 C, 4 F] to <float32>[3, 3, C, F]."""
    d = d.reshape(4, 4, c, 4, f)
    parts = [d[a : a + 3, b : b + 3, :, 2 * a + b] for a in range(2) for b in range(2)]
    return sum(parts, start=jnp.zeros((), d.dtype))


def forward(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, *, chunk: int
) -> tuple[jax.Array, jax.Array]:
    """max_pool(relu(conv(x, kernel) + bias)), and codes of its outputs: as `winograd.forward`."""
    f = kernel.shape[3]
    window_kernel = _window_kernel(kernel)

    def one_chunk(x_chunk: jax.Array) -> tuple[jax.Array, jax.Array]:
        patches = _patches(x_chunk)
        y = patches @ window_kernel
        maximum, winner = max_and_winner([y[..., i * f : (i + 1) * f] for i in range(4)])
        output = jax.nn.relu(maximum + bias)
        return output, jnp.where(output > 0, winner, OFF)

    return map_chunks(one_chunk, (x,), chunk)


def _unpool(code: jax.Array, g: jax.Array) -> jax.Array:
    """Gradient of the four candidates of each window: <float32>[N*T*U, 4 F]."""
    places = jnp.arange(4.0)[:, None]
    return jnp.where(code[..., None, :] == places, g[..., None, :], 0.0).reshape(
        -1, 4 * g.shape[-1]
    )


def backward(
    x: jax.Array, kernel: jax.Array, code: jax.Array, g: jax.Array, *, chunk: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of `forward` with respect to x, kernel and bias, from the gradient g of its output.

    The gradient of x is computed apart from the others, so that the compiler removes it where, as
    in training, nobody reads it: it costs as much as the rest.
    """
    _, _, c, f = kernel.shape
    window_kernel = _window_kernel(kernel)

    def weights_chunk(
        x_chunk: jax.Array, code_chunk: jax.Array, g_chunk: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        patches = _patches(x_chunk).reshape(-1, 16 * c)
        dy = _unpool(code_chunk, g_chunk)
        return (lax.dot_general(patches, dy, (((0,), (0,)), ((), ()))), sum_rows(dy)), None

    def input_chunk(code_chunk: jax.Array, g_chunk: jax.Array) -> jax.Array:
        n, t, u, _ = g_chunk.shape
        d_patches = (_unpool(code_chunk, g_chunk) @ window_kernel.T).reshape(n, t, u, 16 * c)
        shape = jax.ShapeDtypeStruct((n, *x.shape[1:]), x.dtype)
        (dx,) = jax.linear_transpose(_patches, shape)(d_patches)
        return dx

    (d_window, d_bias), _ = scan_sum_chunks(weights_chunk, (x, code, g), chunk)
    dx = map_chunks(input_chunk, (code, g), chunk)
    return dx, _window_kernel_adjoint(d_window, c, f), d_bias.reshape(4, f).sum(0)
