"""An LSTM layer for NVIDIA GPUs: one launch walks the whole sequence, forward or backward.

Written as a scan, an LSTM launches a few small kernels a step, hundreds one after the other, each
of which reads the recurrent weights anew. Here each program of the grid takes a block of movies
and keeps the recurrent weights (for 64 units 32 KiB in bfloat16) and the state on chip from the
first step to the last. What needs no state is not in the kernels: the products of all inputs come
before, in one matrix product, those of the weights' gradients after. (Persistent RNNs: Diamos et
al. 2016; FlashRNN: Poeppel et al. 2024.)

Not measured yet: no GPU was at hand. `jax.export` lowers the kernels for CUDA, Pallas' interpreter
runs them in the tests.

Suffixes: T time, B batch, E features in, H units, G = 4 H gates in the order i, f, g, o.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from mmgenre.machine import devices

BLOCK: Final = 16
"""Movies of a program: the least that a matrix unit takes, since a step's latency is what counts,
and small blocks spread a batch over the most processors."""

NUM_WARPS = 4
"""Of a program; `benchmarks.gpu --num_warps` tries others."""


_Arrays = tuple[jax.Array, ...]
_Ref = Any  # Pallas' references to memory: what is public of them has no types.


_LEAST_CAPABILITY: Final = (8, 0)
"""What Pallas' Triton backend takes."""

_TILES: Final = 5
"""Of a block's movies, in float32: what Triton 3.6.0 puts into shared memory beside the weights, at
most (docs/gpu.md has what it took for 64 units)."""


def shared_bytes(units: int, dtype: Any, block: int = BLOCK) -> int:
    """Returns the bytes of shared memory that a layer's kernels need, from above.

    The recurrent weights, which stay there: 256 KiB for 128 units in float32.
    """
    return 4 * units * units * jnp.dtype(dtype).itemsize + _TILES * 4 * block * units


def supports(units: int, dtype: Any, capability: tuple[int, int]) -> bool:
    """Whether a card can compute a layer: blocks are powers of two, and the weights must fit.

    Args:
      units: of the layer.
      dtype: of its inputs.
      capability: of the card; see `mmgenre.machine.devices`.
    """
    return (
        capability >= _LEAST_CAPABILITY
        and 16 <= units <= 128
        and units & (units - 1) == 0
        and shared_bytes(units, dtype) <= devices.shared_memory(capability)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def layer(
    x_TxBxE: jax.Array,
    input_kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array,
    block: int = BLOCK,
    interpret: bool = False,
) -> jax.Array:
    """Runs one layer over whole sequences, from states of zero.

    Args:
      x_TxBxE: <float32 or bfloat16>; what leaves the chip has its dtype, but for the cell states
        and all sums, which are float32.
      input_kernel: <float32>[E, 4H].
      recurrent_kernel: <float32>[H, 4H]; see `supports` for H.
      bias: <float32>[4H].
      block: movies of a program, a power of two of at least 16.
      interpret: run by Pallas' interpreter, on any machine.

    Returns:
      The outputs [T, B, H], dtype of x.
    """
    z = _project(x_TxBxE, input_kernel, bias)
    (h,) = _walk_forward(z, _by_gate(recurrent_kernel, z.dtype), block, interpret, keep=False)
    return h


def _layer_forward(
    x_TxBxE: jax.Array,
    input_kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array,
    block: int,
    interpret: bool,
) -> tuple[jax.Array, _Arrays]:
    z = _project(x_TxBxE, input_kernel, bias)
    weights = _by_gate(recurrent_kernel, z.dtype)
    h, c, gates = _walk_forward(z, weights, block, interpret, keep=True)
    return h, (x_TxBxE, input_kernel, recurrent_kernel, h, c, gates)


def _layer_backward(
    block: int, interpret: bool, residuals: _Arrays, dh_TxBxH: jax.Array
) -> _Arrays:
    x, input_kernel, recurrent_kernel, h, c, gates = residuals
    weights = _by_gate(recurrent_kernel, x.dtype).swapaxes(1, 2)
    dz_TxBx4xH = _walk_backward(dh_TxBxH, c, gates, weights, block, interpret)
    time, batch, features = x.shape
    units = recurrent_kernel.shape[0]
    dz = dz_TxBx4xH.reshape(time * batch, 4 * units)
    dx = _dot(dz, input_kernel.astype(x.dtype).T).astype(x.dtype).reshape(x.shape)
    h_before = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]]).reshape(time * batch, units)
    d_input_kernel = _dot(x.reshape(time * batch, features).T, dz)
    return dx, d_input_kernel, _dot(h_before.T, dz), dz.sum(0, dtype=jnp.float32)


layer.defvjp(_layer_forward, _layer_backward)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


def _project(x_TxBxE: jax.Array, input_kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """What the gates get from the inputs, [T, B, 4, H]."""
    time, batch, features = x_TxBxE.shape
    x = x_TxBxE.reshape(time * batch, features)
    z = _dot(x, input_kernel.astype(x.dtype)) + bias
    return z.astype(x.dtype).reshape(time, batch, 4, -1)


def _by_gate(recurrent_kernel: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The recurrent kernel as [4, H, H]: a matrix a gate."""
    units = recurrent_kernel.shape[0]
    return recurrent_kernel.astype(dtype).reshape(units, 4, units).swapaxes(0, 1)


def _forward_kernel(
    z_ref: _Ref,
    weights_ref: _Ref,
    h_ref: _Ref,
    c_ref: _Ref | None = None,
    gates_ref: _Ref = None,
) -> None:
    """Blocks: z and gates [T, block, 4, H], weights [4, H, H], h and c [T, block, H]."""
    time, block, _, units = z_ref.shape
    weights = [weights_ref[gate] for gate in range(4)]

    def read(t: jax.Array | int) -> list[jax.Array]:
        return [z_ref[t, :, gate, :] for gate in range(4)]

    def step(t: jax.Array, carry: tuple[Any, Any, list[jax.Array]]) -> Any:
        h, c, z = carry
        following = read(jnp.minimum(t + 1, time - 1))  # Asked for early: memory is far away.
        i, f, g, o = (z[k].astype(jnp.float32) + _dot(h, weights[k]) for k in range(4))
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        c = f * c + i * g
        h = (o * jnp.tanh(c)).astype(h_ref.dtype)
        h_ref[t] = h
        if c_ref is not None:
            c_ref[t] = c
            for k, gate in enumerate((i, f, g, o)):
                gates_ref[t, :, k, :] = gate.astype(gates_ref.dtype)
        return h, c, following

    h = jnp.zeros((block, units), h_ref.dtype)
    jax.lax.fori_loop(0, time, step, (h, jnp.zeros((block, units), jnp.float32), read(0)))


def _backward_kernel(
    dh_ref: _Ref, c_ref: _Ref, gates_ref: _Ref, weights_ref: _Ref, dz_ref: _Ref
) -> None:
    """Blocks: dh and c [T, block, H], gates and dz [T, block, 4, H], weights [4, H, H] transposed.

    Derivatives are by what goes into the gates (dz); `dh` and `dc` are of a step's state.
    """
    time, block, _, units = gates_ref.shape
    weights = [weights_ref[gate] for gate in range(4)]

    def read(t: jax.Array | int) -> list[jax.Array]:
        return [dh_ref[t], *(gates_ref[t, :, gate, :] for gate in range(4))]

    def step(index: jax.Array, carry: tuple[Any, Any, Any, list[jax.Array]]) -> Any:
        dh, dc, c, inputs = carry
        t = time - 1 - index
        before = jnp.maximum(t - 1, 0)
        following = read(before)
        c_before = jnp.where(t > 0, c_ref[before], 0.0)
        dh_out, i, f, g, o = (x.astype(jnp.float32) for x in inputs)
        dh += dh_out
        tanh_c = jnp.tanh(c)
        dc += dh * o * (1 - tanh_c * tanh_c)
        dz = (
            dc * g * i * (1 - i),
            dc * c_before * f * (1 - f),
            dc * i * (1 - g * g),
            dh * tanh_c * o * (1 - o),
        )
        dh = jnp.zeros((block, units), jnp.float32)
        for gate in range(4):
            rounded = dz[gate].astype(dz_ref.dtype)
            dz_ref[t, :, gate, :] = rounded
            dh += _dot(rounded, weights[gate])
        return dh, dc * f, c_before, following

    zeros = jnp.zeros((block, units), jnp.float32)
    jax.lax.fori_loop(0, time, step, (zeros, zeros, c_ref[time - 1], read(time - 1)))


def _walk_forward(
    z: jax.Array, weights: jax.Array, block: int, interpret: bool, *, keep: bool
) -> list[jax.Array]:
    """Returns h [T, B, H]; where `keep`, c <float32>[T, B, H] and gates [T, B, 4, H], too."""
    time, batch, _, units = z.shape
    outputs: list[tuple[tuple[int, ...], Any]] = [((time, batch, units), z.dtype)]
    if keep:
        outputs += [((time, batch, units), jnp.float32), (z.shape, z.dtype)]
    return _call(_forward_kernel, [z], weights, outputs, block, interpret)


def _walk_backward(
    dh: jax.Array,
    c: jax.Array,
    gates: jax.Array,
    weights: jax.Array,
    block: int,
    interpret: bool,
) -> jax.Array:
    """Returns dz [T, B, 4, H], dtype of the gates."""
    outputs = [(gates.shape, gates.dtype)]
    (dz,) = _call(_backward_kernel, [dh, c, gates], weights, outputs, block, interpret)
    return dz


def _call(
    kernel: Callable[..., None],
    sequences: list[jax.Array],
    weights: jax.Array,
    outputs: Sequence[tuple[tuple[int, ...], Any]],
    block: int,
    interpret: bool,
) -> list[jax.Array]:
    """Launches a kernel on sequences [T, B, ...], padded to whole blocks of movies, and weights."""
    batch = sequences[0].shape[1]
    padding = -batch % block

    def pad(array: jax.Array) -> jax.Array:
        return jnp.pad(array, [(0, 0), (0, padding)] + [(0, 0)] * (array.ndim - 2))

    def blocks(shape: tuple[int, ...]) -> pl.BlockSpec:
        zeros = (0,) * (len(shape) - 2)
        return pl.BlockSpec((shape[0], block, *shape[2:]), lambda b: (0, b, *zeros))

    whole = pl.BlockSpec(weights.shape, lambda b: (0, 0, 0))
    results = pl.pallas_call(
        kernel,
        grid=((batch + padding) // block,),
        in_specs=[*(blocks(array.shape) for array in sequences), whole],
        out_specs=[blocks(shape) for shape, _ in outputs],
        out_shape=[
            jax.ShapeDtypeStruct((shape[0], batch + padding, *shape[2:]), dtype)
            for shape, dtype in outputs
        ],
        compiler_params=plgpu.CompilerParams(num_warps=NUM_WARPS, num_stages=1),
        interpret=interpret,
        name=kernel.__name__.strip("_"),
    )(*(pad(array) if padding else array for array in sequences), weights)
    return [result[:, :batch] for result in results] if padding else results
