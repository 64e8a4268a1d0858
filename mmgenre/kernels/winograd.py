"""Winograd's F(4x4, 3x3) convolution fused with bias, ReLU and 2x2 max pooling, for CPUs.

XLA's CPU backend runs `lax.conv` several times slower than it multiplies matrices. Winograd's
minimal filtering (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks") turns a
3x3 convolution into 36 matrix products with a quarter of the multiplications, plus cheap linear
transforms of tiles; all three convolutions of training (forward, input gradient, weight gradient)
are the same 36 products, transposed.

The batch is walked in chunks by `lax.scan`, so that a chunk's intermediates stay in the processor's
cache.

Suffixes name dimensions: N movies, H W rows and columns, C input channels, F filters, T U rows and
columns of 4x4 output tiles, P Q the 6x6 positions in the transformed domain.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mmgenre.kernels.chunks import map_chunks, scan_sum_chunks
from mmgenre.kernels.pooling import OFF, max_and_winner, sum_rows

TILE = 4  # outputs a tile, each way
WINDOW = 6  # inputs a tile, each way: TILE + 3 - 1

# Lavin & Gray, section 4.3: output = A^T [(G k G^T) * (B^T d B)] A, interpolation points 0, 1, -1,
# 2, -2, infinity.
_B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)
_A_T = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32
)


def _combine(weights: np.ndarray, arrays: Sequence[jax.Array]) -> jax.Array:
    """The sum of `weights[i] * arrays[i]`, leaving out zeros and multiplications by one."""
    terms = [(w, x) for w, x in zip(weights.tolist(), arrays, strict=True) if w != 0]
    (weight, array), *others = terms
    total = array if weight == 1 else weight * array
    for weight, array in others:
        if weight == 1:
            total = total + array
        elif weight == -1:
            total = total - array
        else:
            total = total + weight * array
    return total


def _kernel_transform(kernel_3x3xCxF: jax.Array) -> jax.Array:
    """G k G^T for each pair of channels: <float32>[36, C, F]."""
    _, _, c, f = kernel_3x3xCxF.shape
    return jnp.einsum("pi,qj,ijcf->pqcf", _G, _G, kernel_3x3xCxF).reshape(WINDOW * WINDOW, c, f)


def _input_transform(x_NxHxWxC: jax.Array, tiles: tuple[int, int]) -> jax.Array:
    """B^T d B for each overlapping 6x6 window: <float32>[36, N*T*U, C]."""
    n, h, w, c = x_NxHxWxC.shape
    t, u = tiles
    # One row of SAME padding before; after, as many as the last window needs (strided slices read
    # up to 4t+4).
    padded = jnp.pad(x_NxHxWxC, ((0, 0), (1, TILE * t + 3 - h), (1, TILE * u + 3 - w), (0, 0)))
    rows = [padded[:, i : i + TILE * t : TILE] for i in range(WINDOW)]
    rows_PxNxTxWxC = jnp.stack([_combine(_B_T[p], rows) for p in range(WINDOW)])
    columns = [rows_PxNxTxWxC[:, :, :, j : j + TILE * u : TILE] for j in range(WINDOW)]
    tiles_PxQxNxTxUxC = jnp.stack([_combine(_B_T[q], columns) for q in range(WINDOW)], axis=1)
    return tiles_PxQxNxTxUxC.reshape(WINDOW * WINDOW, n * t * u, c)


def _input_transform_adjoint(
    dv: jax.Array, shape: tuple[int, ...], tiles: tuple[int, int]
) -> jax.Array:
    """The transpose of `_input_transform`: <float32>[36, N*T*U, C] to <float32>[N, H, W, C]."""
    n, h, w, c = shape
    t, u = tiles
    dv_PxQxNxTxUxC = dv.reshape(WINDOW, WINDOW, n, t, u, c)

    def overlap(parts: list[jax.Array], axis: int) -> list[jax.Array]:
        """Six rows of a window to the four of its tile; the outer two belong to the neighbours."""
        size = parts[0].shape[axis]
        edge = [(0, 0)] * parts[0].ndim
        edge[axis] = (1, 0)
        from_before = jnp.pad(lax.slice_in_dim(parts[5], 0, size - 1, axis=axis), edge)
        edge[axis] = (0, 1)
        from_after = jnp.pad(lax.slice_in_dim(parts[0], 1, size, axis=axis), edge)
        return [parts[1] + from_before, parts[2], parts[3], parts[4] + from_after]

    along_h = [_combine(_B_T[:, i], list(dv_PxQxNxTxUxC)) for i in range(WINDOW)]
    rows_RxQxNxTxUxC = jnp.stack(overlap(along_h, axis=2))
    columns = [rows_RxQxNxTxUxC[:, q] for q in range(WINDOW)]
    along_w = [_combine(_B_T[:, j], columns) for j in range(WINDOW)]
    dx_RxNxTxUxSxC = jnp.stack(overlap(along_w, axis=3), axis=4)
    dx = dx_RxNxTxUxSxC.transpose(1, 2, 0, 3, 4, 5).reshape(n, TILE * t, TILE * u, c)
    return dx[:, :h, :w]


def _pooled_output(
    products: jax.Array, shape: tuple[int, int, int, int]
) -> tuple[jax.Array, jax.Array]:
    """A^T m A, then the maximum of each 2x2 block and which of the four it was (the first, on
    ties).

    Args:
      products: <float32>[36, N*T*U, F].
      shape: (N, T, U, F).

    Returns:
      maximum and winner, each <float32>[N, 2T, 2U, F].
    """
    n, t, u, f = shape
    m_PxQxNxTxUxF = products.reshape(WINDOW, WINDOW, n, t, u, f)
    rows = jnp.stack([_combine(_A_T[i], list(m_PxQxNxTxUxF)) for i in range(TILE)])
    columns = [rows[:, q] for q in range(WINDOW)]
    y = [_combine(_A_T[j], columns).reshape(2, 2, n, t, u, f) for j in range(TILE)]
    maxima, winners = [], []
    for left, right in ((y[0], y[1]), (y[2], y[3])):
        window = (left[:, 0], right[:, 0], left[:, 1], right[:, 1])
        maximum, winner = max_and_winner(window)
        maxima.append(maximum)
        winners.append(winner)

    def arrange(halves: list[jax.Array]) -> jax.Array:
        return jnp.stack(halves, axis=4).transpose(1, 2, 0, 3, 4, 5).reshape(n, 2 * t, 2 * u, f)

    return arrange(maxima), arrange(winners)


def _output_transform_adjoint(
    g_NxHxWxF: jax.Array, code: jax.Array, tiles: tuple[int, int]
) -> jax.Array:
    """Gradient of the pooled output to gradient of the 36 products: un-pool, then A dy A^T.

    Args:
      g_NxHxWxF: <float32>[N, H//2, W//2, F].
      code: <float32>, the same shape: the winner of each window, or OFF.
      tiles: (T, U).

    Returns:
      <float32>[36, N*T*U, F].
    """
    n, h, w, f = g_NxHxWxF.shape
    t, u = tiles
    if (h, w) != (2 * t, 2 * u):
        g_NxHxWxF = jnp.pad(g_NxHxWxF, ((0, 0), (0, 2 * t - h), (0, 2 * u - w), (0, 0)))
        code = jnp.pad(code, ((0, 0), (0, 2 * t - h), (0, 2 * u - w), (0, 0)), constant_values=OFF)
    g = g_NxHxWxF.reshape(n, t, 2, u, 2, f)
    code = code.reshape(n, t, 2, u, 2, f)

    def row(i: int, b: int) -> jax.Array:
        """Row i of every tile of the un-pooled gradient, its columns of parity b: [N, T, U, 2,
        F].
        """
        half, a = divmod(i, 2)
        return jnp.where(code[:, :, half] == 2 * a + b, g[:, :, half], 0.0)

    rows = [[row(i, b) for i in range(TILE)] for b in range(2)]
    along_h = [jnp.stack([_combine(_A_T[:, p], rows[b]) for p in range(WINDOW)]) for b in range(2)]
    columns = [along_h[j % 2][:, :, :, :, j // 2] for j in range(TILE)]
    dm = jnp.stack([_combine(_A_T[:, q], columns) for q in range(WINDOW)], axis=1)
    return dm.reshape(WINDOW * WINDOW, n * t * u, f)


def _batched_dot(a: jax.Array, b: jax.Array, contract: tuple[int, int]) -> jax.Array:
    """36 matrix products; `contract` names the summed dimension of each operand."""
    dimensions = (((contract[0],), (contract[1],)), ((0,), (0,)))
    return lax.dot_general(a, b, dimensions, preferred_element_type=jnp.float32)


def tiles_of(height: int, width: int) -> tuple[int, int]:
    """How many 4x4 output tiles cover an image, down and across."""
    return -(-height // TILE), -(-width // TILE)


def forward(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, *, chunk: int
) -> tuple[jax.Array, jax.Array]:
    """max_pool(relu(conv(x, kernel) + bias)), and the code of each output for `backward`.

    Args:
      x: <float32>[N, H, W, C].
      kernel: <float32>[3, 3, C, F].
      bias: <float32>[F].
      chunk: movies at a time.

    Returns:
      output and code, each <float32>[N, H//2, W//2, F].
    """
    _, h, w, _ = x.shape
    tiles = tiles_of(h, w)
    transformed_kernel = _kernel_transform(kernel)

    def one_chunk(x_chunk: jax.Array) -> tuple[jax.Array, jax.Array]:
        products = _batched_dot(_input_transform(x_chunk, tiles), transformed_kernel, (2, 1))
        maximum, winner = _pooled_output(products, (x_chunk.shape[0], *tiles, kernel.shape[3]))
        # Adding a constant and ReLU are monotone, so they commute with the maximum: a quarter of
        # the work after it.
        output = jax.nn.relu(maximum + bias)
        code = jnp.where(output > 0, winner, OFF)
        return output[:, : h // 2, : w // 2], code[:, : h // 2, : w // 2]

    return map_chunks(one_chunk, (x,), chunk)


def backward(
    x: jax.Array, kernel: jax.Array, code: jax.Array, g: jax.Array, *, chunk: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of `forward` with respect to x, kernel and bias, from the gradient g of its
    output.
    """
    _n, h, w, c = x.shape
    f = kernel.shape[3]
    tiles = tiles_of(h, w)
    transformed_kernel = _kernel_transform(kernel)

    def one_chunk(
        x_chunk: jax.Array, code_chunk: jax.Array, g_chunk: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        dm = _output_transform_adjoint(g_chunk, code_chunk, tiles)
        d_kernel = _batched_dot(_input_transform(x_chunk, tiles), dm, (1, 1))
        d_bias = sum_rows(jnp.where(code_chunk != OFF, g_chunk, 0.0).reshape(-1, f))
        dv = _batched_dot(dm, transformed_kernel, (2, 2))
        return (d_kernel, d_bias), _input_transform_adjoint(dv, x_chunk.shape, tiles)

    (d_transformed, d_bias), dx = scan_sum_chunks(one_chunk, (x, code, g), chunk)
    d_kernel = jnp.einsum("pi,qj,pqcf->ijcf", _G, _G, d_transformed.reshape(WINDOW, WINDOW, c, f))
    return dx, d_kernel, d_bias
