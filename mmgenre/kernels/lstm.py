"""A stack of LSTM layers: one function, several ways to compute it.

Gates lie in the order input, forget, candidate, output (i, f, g, o), as in Keras. Suffixes name
dimensions: B batch, T time, E features in, H units, G = 4 H gates.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mmgenre.kernels import plain_kernels

Method = Literal["auto", "plain", "fused_gates", "cudnn", "wavefront"]
Layer = tuple[jax.Array, jax.Array, jax.Array]
_State = tuple[jax.Array, jax.Array]
_Arrays = tuple[jax.Array, ...]


def lstm_stack(
    inputs: jax.Array,
    layers: Sequence[Layer],
    dropout_masks: Sequence[jax.Array | None] | None = None,
    *,
    method: Method = "auto",
    time_major: bool = False,
) -> jax.Array:
    """Runs the layers in turn over whole sequences, from states of zero.

    Padding needs no mask: a state at a padded position influences only positions after it.

    Args:
      inputs: <float>[B, T, E], or [T, B, E] where time_major.
      layers: of each layer input_kernel <float32>[E, 4H], recurrent_kernel <float32>[H, 4H], bias
        <float32>[4H].
      dropout_masks: of each layer an array to multiply its outputs with (0 or 1 / keep
        probability), of a shape that broadcasts to its outputs; or None.
      method: "plain" is a scanned cell that XLA differentiates: the reference. "fused_gates" is for
        CPUs: see `_layer`; it computes in float32 whatever the inputs. "cudnn" and "wavefront" need
        an NVIDIA GPU: see `cudnn_lstm` and `wavefront_lstm`. "auto" is "fused_gates" on a CPU, and
        else, and within `plain_kernels.kernels()`, "plain".
      time_major: whether time comes before batch in inputs, masks and result. That saves the two
        transpositions of the other order: an embedding of transposed tokens is time-major at no
        cost.

    Returns:
      <float>[B, T, H] (or [T, B, H]): every output of the last layer, dtype of the inputs.
    """
    if method == "auto":
        method = (
            "plain" if plain_kernels.chosen() or jax.default_backend() != "cpu" else "fused_gates"
        )
    if method not in _LAYERS and method != "wavefront":
        raise ValueError(f"unknown method {method!r}")
    masks = [None] * len(layers) if dropout_masks is None else list(dropout_masks)
    if len(masks) != len(layers):
        raise ValueError(f"{len(masks)} dropout masks for {len(layers)} layers")
    dtype = inputs.dtype
    x = inputs if time_major else inputs.swapaxes(0, 1)
    if not time_major:
        masks = [mask if mask is None else mask.swapaxes(0, 1) for mask in masks]
    if method == "wavefront":
        from mmgenre.kernels import wavefront_lstm

        x = wavefront_lstm.stack(x, layers, masks)
    else:
        for layer, mask in zip(layers, masks, strict=True):
            x = _LAYERS[method](x, *layer)
            if mask is not None:
                x = (x * mask).astype(dtype)
    return x if time_major else x.swapaxes(0, 1)


def _plain_layer(
    x_TxBxE: jax.Array, input_kernel: jax.Array, recurrent_kernel: jax.Array, bias: jax.Array
) -> jax.Array:
    dtype = x_TxBxE.dtype

    def dot(a: jax.Array, parameter: jax.Array) -> jax.Array:
        # Rounded here, not before the scan, so that their gradients are summed in float32.
        return jnp.dot(a, parameter.astype(dtype), preferred_element_type=jnp.float32)

    def cell(state: _State, z_BxG: jax.Array) -> tuple[_State, jax.Array]:
        h, c = state
        z_BxG = z_BxG + dot(h, recurrent_kernel)
        i, f, g, o = jnp.split(z_BxG, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = (jax.nn.sigmoid(o) * jnp.tanh(c)).astype(dtype)
        return (h, c), h

    shape = (x_TxBxE.shape[1], recurrent_kernel.shape[0])
    zeros = jnp.zeros(shape, dtype), jnp.zeros(shape, jnp.float32)
    # The product of all inputs needs no state: one product, and one for its kernel's gradient.
    return lax.scan(cell, zeros, dot(x_TxBxE, input_kernel) + bias)[1]


def _fused_gates_layer(x_TxBxE: jax.Array, *parameters: jax.Array) -> jax.Array:
    dtype = x_TxBxE.dtype
    parameters = tuple(parameter.astype(jnp.float32) for parameter in parameters)
    return _layer(x_TxBxE.astype(jnp.float32), *parameters).astype(dtype)


def _halves(units: int, dtype: jnp.dtype) -> np.ndarray:
    """1/2 for sigmoid gates, 1 for the candidate: sigmoid(x) is (tanh(x / 2) + 1) / 2."""
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5]), units).astype(dtype)


def _gates(tanh_BxG: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    i, f, g, o = jnp.split(tanh_BxG, 4, axis=-1)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


@jax.custom_vjp
def _layer(
    x_TxBxE: jax.Array, input_kernel: jax.Array, recurrent_kernel: jax.Array, bias: jax.Array
) -> jax.Array:
    """One layer, time-major, its scans reduced to what is truly serial.

    One tanh serves all gates. The backward scan only carries the state's gradient back; the
    gradients of weights and inputs are matrix products over all steps at once, after it.
    """
    return _layer_forward(x_TxBxE, input_kernel, recurrent_kernel, bias)[0]


def _layer_forward(
    x_TxBxE: jax.Array, input_kernel: jax.Array, recurrent_kernel: jax.Array, bias: jax.Array
) -> tuple[jax.Array, _Arrays]:
    batch, units = x_TxBxE.shape[1], recurrent_kernel.shape[0]
    halves = _halves(units, x_TxBxE.dtype)
    kernel = jnp.concatenate([input_kernel, recurrent_kernel]) * halves
    bias = bias * halves

    def step(state: _State, x_BxE: jax.Array) -> tuple[_State, _Arrays]:
        h, c = state
        tanh_BxG = jnp.tanh(jnp.concatenate([x_BxE, h], axis=-1) @ kernel + bias)
        i, f, g, o = _gates(tanh_BxG)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (h, c), (h, c, tanh_BxG)

    zeros = jnp.zeros((batch, units), x_TxBxE.dtype)
    _, (h, c, tanh) = lax.scan(step, (zeros, zeros), x_TxBxE)
    return h, (x_TxBxE, input_kernel, recurrent_kernel, h, c, tanh)


def _layer_backward(residuals: _Arrays, g_TxBxH: jax.Array) -> _Arrays:
    x, input_kernel, recurrent_kernel, h, c, tanh = residuals
    time, batch, features = x.shape
    units = recurrent_kernel.shape[0]
    # The derivative of a gate by what it is computed from, over 1 - tanh^2.
    quarters = _halves(units, x.dtype) ** 2

    def before(states: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])

    def step(carry: _State, inputs: _Arrays) -> tuple[_State, jax.Array]:
        dh, dc = carry
        g, tanh_BxG, c, c_before = inputs
        i, f, candidate, o = _gates(tanh_BxG)
        tanh_c = jnp.tanh(c)
        dh = dh + g
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        d_gates = jnp.concatenate([dc * candidate, dc * c_before, dc * i, dh * tanh_c], axis=-1)
        dz_BxG = d_gates * (1 - tanh_BxG * tanh_BxG) * quarters
        return (dz_BxG @ recurrent_kernel.T, dc * f), dz_BxG

    zeros = jnp.zeros((batch, units), x.dtype)
    _, dz_TxBxG = lax.scan(step, (zeros, zeros), (g_TxBxH, tanh, c, before(c)), reverse=True)
    dz = dz_TxBxG.reshape(time * batch, 4 * units)
    dx = (dz @ input_kernel.T).reshape(x.shape)
    d_input_kernel = x.reshape(time * batch, features).T @ dz
    d_recurrent_kernel = before(h).reshape(time * batch, units).T @ dz
    return dx, d_input_kernel, d_recurrent_kernel, dz.sum(0)


_layer.defvjp(_layer_forward, _layer_backward)


def _cudnn_layer(x_TxBxE: jax.Array, *parameters: jax.Array) -> jax.Array:
    from mmgenre.kernels import cudnn_lstm

    return cudnn_lstm.layer(x_TxBxE, *parameters)


_LAYERS: dict[str, Callable[..., jax.Array]] = {
    "plain": _plain_layer,
    "fused_gates": _fused_gates_layer,
    "cudnn": _cudnn_layer,
}
