"""Stacks of LSTM layers."""

import jax
import jax.numpy as jnp
from jax import lax


def lstm_stack(x, layers, masks):
    for (wi, wh, b), mask in zip(layers, masks, strict=True):
        z_TBG = (x @ wi + b[None, None]).swapaxes(0, 1)
        h0 = jnp.zeros((x.shape[0], wh.shape[0]), x.dtype)

        def cell(carry, z, wh=wh):
            h, c = carry
            i, f, g, o = jnp.split(z + h @ wh, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        _, h_TBH = lax.scan(cell, (h0 + 0 * z_TBG[0, :, :1], h0 + 0 * z_TBG[0, :, :1]), z_TBG)
        x = h_TBH.swapaxes(0, 1)
        if mask is not None:
            x = x * mask
    return x
