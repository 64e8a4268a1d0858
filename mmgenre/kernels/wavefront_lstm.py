"""LSTM layers for NVIDIA GPUs: one launch walks whole sequences through two layers at once.

Written as a scan, an LSTM launches a few small kernels a step, hundreds one after the other, each
of which reads the recurrent weights anew. Here a block of 8 movies keeps all weights in registers
and the states on chip from the first step to the last, and the second layer works on a step while
the first works on the next ones: `cuda/lstm_wavefront.cuh` says how. What needs no state is not in
the kernels: the products of layer 0's inputs come before, in one matrix product, those of the
weights' gradients after. (Persistent RNNs: Diamos et al. 2016; wavefronts: Appleyard et al. 2016;
FlashRNN: Poeppel et al. 2024.)

Not measured yet: no GPU was at hand. docs/gpu.md says what was run.

Suffixes: T time, B batch, E features in, H units, G = 4 H gates in the order i, f, g, o.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mmgenre.kernels import cuda_launch
from mmgenre.machine import devices

Layer = tuple[jax.Array, jax.Array, jax.Array]

ROWS: Final = 8
"""Movies of a block: the least that a matrix unit takes, since a step's latency is what counts,
and small blocks spread a batch over the most processors."""

_DEPTHS: Final = (4, 3, 2)
"""Steps whose inputs may be on their way at once; the first that fits into a card."""

_LEAST_CAPABILITY: Final = (8, 0)
"""What has the matrix units and the asynchronous copies that the kernels use."""

_REGISTERS: Final = 65_536
"""Of a processor, on all cards so far."""

_OTHER_REGISTERS: Final = {"bfloat16": 96, "float32": 40}
"""Of a thread, besides the weights. In float32 less than it would like, at which a few are kept in
local memory (docs/gpu.md)."""

_SOURCES: Final = ("primitives.cuh", "lstm_wavefront.cuh")


class _Variant(NamedTuple):
    """What the kernels are compiled for."""

    units: int
    layers: int
    dtype: str
    exact: bool
    masked: bool
    depth: int


@functools.cache
def source() -> str:
    """Returns the kernels' source."""
    folder = Path(__file__).parent / "cuda"
    return "\n".join((folder / name).read_text() for name in _SOURCES)


def supports(units: int, dtype: Any, capability: tuple[int, int]) -> bool:
    """Whether a card can compute two layers: tiles are of 16 units, and the weights must fit.

    Args:
      units: of a layer.
      dtype: of its inputs.
      capability: of the card; see `mmgenre.machine.devices`.
    """
    return (
        capability >= _LEAST_CAPABILITY
        and units >= 16
        and units % 16 == 0
        and registers(units, dtype) <= _REGISTERS
        and shared_bytes(units, dtype, _DEPTHS[-1]) <= devices.shared_memory(capability)
    )


def most_units(dtype: Any, capability: tuple[int, int]) -> int:
    """Returns the most units of a layer that a card can hold; 0 where it is too old."""
    return max((n for n in range(16, 1025, 16) if supports(n, dtype, capability)), default=0)


def registers(units: int, dtype: Any) -> int:
    """Returns how many registers a block of two layers needs: its weights lie there."""
    name = jnp.dtype(dtype).name
    weights = units * jnp.dtype(dtype).itemsize // 2  # Of a thread, 4 bytes each.
    return _threads(units, 2) * (weights + _OTHER_REGISTERS[name])


def shared_bytes(units: int, dtype: Any, depth: int, layers: int = 2, masked: bool = True) -> int:
    """Returns the bytes of shared memory of a block, on the way back, which takes more."""
    return max(_shared_bytes(units, jnp.dtype(dtype).name, layers, masked, depth))


def _threads(units: int, layers: int) -> int:
    return (2 * layers - 1) * 2 * units


def _shared_bytes(units: int, dtype: str, layers: int, masked: bool, depth: int) -> tuple[int, int]:
    """Of `ForwardShared` and `BackwardShared` in the source."""
    element = jnp.dtype(dtype).itemsize
    unit_row, gate_row = (ROWS * (n * element + 16) for n in (units, 4 * units))
    mask = ROWS * (units + 4) * 4
    gates, cells = ROWS * 4 * units * element, ROWS * units * 4
    forward = depth * gate_row + layers * 2 * unit_row
    backward = depth * (unit_row + layers * (gates + cells)) + layers * 2 * gate_row
    if layers == 2:
        forward += 2 * ROWS * 4 * units * 4
        backward += 2 * cells
        if masked:
            forward += depth * mask + 2 * unit_row
            backward += depth * mask
    return forward, backward


def compile_kernels(units: int, dtype: Any) -> None:
    """Compiles what two layers with dropout train with, for this process' card.

    Raises:
      cuda_compiler.CompilerError: there is no compiler, or it fails.
    """
    for kernel in _kernels(_variant(units, 2, dtype, exact=False, masked=True), keep=True):
        kernel.ptx()


def _kernels(variant: _Variant, keep: bool) -> tuple[cuda_launch.Kernel, cuda_launch.Kernel]:
    """The kernels of the way there and back."""
    units, layers, dtype, exact, masked, depth = variant
    defines = (
        ("UNITS", units),
        ("LAYERS", layers),
        ("BFLOAT16", int(dtype == "bfloat16")),
        ("EXACT", int(exact)),
        ("MASKED", int(masked)),
        ("KEEP", int(keep)),
        ("DEPTH", depth),
    )
    sizes = _shared_bytes(units, dtype, layers, masked, depth)
    forward, backward = (
        cuda_launch.Kernel(name, source(), defines, _threads(units, layers), size)
        for name, size in zip(("lstm_forward", "lstm_backward"), sizes, strict=True)
    )
    return forward, backward


def stack(
    x_TxBxE: jax.Array, layers: Sequence[Layer], masks: Sequence[jax.Array | None]
) -> jax.Array:
    """Runs layers over whole sequences, from states of zero; see `mmgenre.kernels.lstm`.

    Products of float32 are TensorFloat-32, or about as precise as float32 where
    `jax.default_matmul_precision` is "highest".

    Args:
      x_TxBxE: <float32 or bfloat16>; what leaves the chip has its dtype, but for the cell states
        and all sums, which are float32.
      layers: of each layer input_kernel <float32>[E, 4H], recurrent_kernel <float32>[H, 4H], bias
        <float32>[4H]; see `supports` for H.
      masks: of each layer what its outputs are multiplied with, <float>[T, B, H], or of a shape
        that broadcasts to it; or None. They get no gradient.

    Returns:
      The last layer's outputs [T, B, H], dtype of x.

    Raises:
      cuda_compiler.CompilerError: there is no compiler.
    """
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    exact = precision in ("highest", "float32")
    h, index = x_TxBxE, 0
    while index < len(layers):
        units = layers[index][1].shape[0]
        is_pair = index + 1 < len(layers) and layers[index + 1][1].shape[0] == units
        between = masks[index] if is_pair else None
        group = tuple(layers[index : index + 1 + is_pair])
        index += len(group)
        h = _wavefront(h, group, _whole(between, h, units), exact)
        if (after := masks[index - 1]) is not None:
            h = (h * after).astype(h.dtype)
    return h


def _whole(mask: jax.Array | None, x_TxBxE: jax.Array, units: int) -> jax.Array | None:
    if mask is None:
        return None
    shape = (*x_TxBxE.shape[:2], units)
    return lax.stop_gradient(jnp.broadcast_to(mask, shape).astype(jnp.float32))


_Kept = tuple[Any, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _wavefront(
    x_TxBxE: jax.Array, layers: tuple[Layer, ...], mask: jax.Array | None, exact: bool
) -> jax.Array:
    """One layer, or two of equal units."""
    return _forward(x_TxBxE, layers, mask, exact, keep=False)[0][-1]


def _wavefront_forward(
    x_TxBxE: jax.Array, layers: tuple[Layer, ...], mask: jax.Array | None, exact: bool
) -> tuple[jax.Array, _Kept]:
    outputs, gates, cells = _forward(x_TxBxE, layers, mask, exact, keep=True)
    return outputs[-1], (x_TxBxE, layers, mask, outputs, gates, cells)


def _forward(
    x_TxBxE: jax.Array,
    layers: tuple[Layer, ...],
    mask: jax.Array | None,
    exact: bool,
    *,
    keep: bool,
) -> tuple[list[jax.Array], jax.Array | None, jax.Array | None]:
    """The outputs of the layers (of the last alone, unless `keep`), gates and cells."""
    dtype, (time, batch, features) = x_TxBxE.dtype, x_TxBxE.shape
    (input_kernel, recurrent_kernel, bias), *others = layers
    units = recurrent_kernel.shape[0]
    z = _dot(x_TxBxE.reshape(time * batch, features), input_kernel.astype(dtype)) + bias
    z = _pad(z.astype(dtype).reshape(time, batch, 4 * units))
    operands = [_sizes(z), z, recurrent_kernel.astype(dtype)]
    for input_kernel, recurrent_kernel, bias in others:
        operands += [input_kernel.astype(dtype), bias.astype(jnp.float32)]
        operands.append(recurrent_kernel.astype(dtype))
    if mask is not None:
        operands.append(_pad(mask))
    padded = z.shape[1]
    blocks = padded // ROWS
    results: list[Any] = [jax.ShapeDtypeStruct((time, padded, units), dtype)]
    if keep:
        results *= len(layers)
        shape = (len(layers), time, blocks, ROWS)
        results.append(jax.ShapeDtypeStruct((*shape, 4 * units), dtype))
        results.append(jax.ShapeDtypeStruct((*shape, units), jnp.float32))
    kernel, _ = _kernels(_variant(units, len(layers), dtype, exact, mask is not None), keep)
    found = cuda_launch.launch(kernel, blocks, operands, results)
    outputs = [h[:, :batch] if padded > batch else h for h in found[: len(layers) if keep else 1]]
    return (outputs, found[-2], found[-1]) if keep else (outputs, None, None)


def _wavefront_backward(exact: bool, kept: _Kept, dh_TxBxH: jax.Array) -> tuple[Any, ...]:
    x, layers, mask, outputs, gates, cells = kept
    dtype, (time, batch, features) = x.dtype, x.shape
    units = layers[0][1].shape[0]
    dh = _pad(dh_TxBxH)
    operands = [_sizes(dh), dh, gates, cells, layers[0][1].astype(dtype)]
    operands += [kernel.astype(dtype) for layer in layers[1:] for kernel in layer[:2]]
    if mask is not None:
        operands.append(_pad(mask))
    shape = jax.ShapeDtypeStruct((*dh.shape[:2], 4 * units), dtype)
    _, kernel = _kernels(_variant(units, len(layers), dtype, exact, mask is not None), True)
    found = cuda_launch.launch(kernel, dh.shape[1] // ROWS, operands, [shape] * len(layers))
    dz = [array[:, :batch] for array in found]
    gradients, inputs = [], x
    for h, dz_TxBxG in zip(outputs, dz, strict=True):
        flat = dz_TxBxG.reshape(time * batch, 4 * units)
        d_input_kernel = _dot(inputs.reshape(time * batch, -1).T, flat)
        # A step's state comes from the step before; the first has none.
        later = dz_TxBxG[1:].reshape(-1, 4 * units)
        d_recurrent_kernel = _dot(h[:-1].reshape(-1, units).T, later)
        gradients.append((d_input_kernel, d_recurrent_kernel, flat.sum(0, dtype=jnp.float32)))
        inputs = h if mask is None else (h * mask).astype(dtype)
    dx = _dot(dz[0].reshape(time * batch, 4 * units), layers[0][0].astype(dtype).T)
    d_mask = None if mask is None else jnp.zeros_like(mask)
    return dx.astype(dtype).reshape(time, batch, features), tuple(gradients), d_mask


_wavefront.defvjp(_wavefront_forward, _wavefront_backward)


def _variant(units: int, layers: int, dtype: Any, exact: bool, masked: bool) -> _Variant:
    capability = devices.compute_capability() or _LEAST_CAPABILITY
    room, name = devices.shared_memory(capability), jnp.dtype(dtype).name
    depth = next(
        (d for d in _DEPTHS if max(_shared_bytes(units, name, layers, masked, d)) <= room),
        _DEPTHS[-1],
    )
    return _Variant(units, layers, name, exact and name == "float32", masked, depth)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


def _sizes(array_TxBxN: jax.Array) -> jax.Array:
    return jnp.asarray(np.array(array_TxBxN.shape[:2], np.int32))


def _pad(array_TxBxN: jax.Array) -> jax.Array:
    """The same with whole blocks of movies."""
    padding = -array_TxBxN.shape[1] % ROWS
    return jnp.pad(array_TxBxN, [(0, 0), (0, padding), (0, 0)]) if padding else array_TxBxN
