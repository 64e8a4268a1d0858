"""An LSTM layer by cuDNN, for NVIDIA GPUs: what PyTorch and Keras call there.

`jax.experimental.rnn` takes float32 alone, so with bfloat16 the layer is computed in float32 (its
products in TensorFloat-32, unless `config.model.product_precision` is "highest") and rounded after.
"""

import jax
import jax.numpy as jnp
from jax.experimental import rnn


def layer(
    x_TxBxE: jax.Array, input_kernel: jax.Array, recurrent_kernel: jax.Array, bias: jax.Array
) -> jax.Array:
    """Runs one layer over whole sequences, from states of zero; runs on NVIDIA GPUs only.

    Args:
      x_TxBxE: <float>[T, B, E].
      input_kernel: <float32>[E, 4H], gates i, f, g, o.
      recurrent_kernel: <float32>[H, 4H].
      bias: <float32>[4H].

    Returns:
      The outputs [T, B, H], dtype of x.
    """
    time, batch, features = x_TxBxE.shape
    units = recurrent_kernel.shape[0]
    x_BxTxE = x_TxBxE.astype(jnp.float32).swapaxes(0, 1)
    zeros = jnp.zeros((1, batch, units), jnp.float32)
    weights = pack(input_kernel, recurrent_kernel, bias)
    lengths = jnp.full(batch, time, jnp.int32)  # Padding is cut off where outputs are chosen.
    h_BxTxH, _, _ = rnn.lstm(
        x_BxTxE, zeros, zeros, weights, lengths, features, units, 1, 0.0, False
    )
    return h_BxTxH.swapaxes(0, 1).astype(x_TxBxE.dtype)


def is_there() -> bool:
    """Whether this JAX was installed with its plugin for CUDA, which calls cuDNN."""
    try:
        from jaxlib import gpu_rnn
    except ImportError:
        return False
    return hasattr(gpu_rnn, "compute_rnn_workspace_reserve_space_sizes")


def pack(input_kernel: jax.Array, recurrent_kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Returns a layer's parameters as cuDNN takes them, <float32>[4H (E + H + 2)].

    Transposed, in a row, in the same order of gates; cuDNN has a second bias, which stays zero.
    """
    parts = (input_kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias))
    return jnp.concatenate([part.astype(jnp.float32).ravel() for part in parts])
