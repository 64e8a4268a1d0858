"""Whether this machine can run the kernels of `wavefront_lstm`: tried out, the first time.

No GPU was at hand when they were written, and the way they are launched is not part of JAX's
interface.
"""

import functools
from concurrent import futures
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre.errors import first_line
from mmgenre.kernels import cuda_compiler, lstm, wavefront_lstm


def problem(units: int, dtype: Any, capability: tuple[int, int]) -> str | None:
    """Returns why a card cannot run the kernels, in a few words; None where it can.

    The first time, the kernels are compiled, and tried on a few made-up movies against the scan.
    """
    if not wavefront_lstm.supports(units, dtype, capability):
        return "this GPU cannot hold its kernels"
    return _trial(units, jnp.dtype(dtype).name)


@functools.cache
def _trial(units: int, dtype: str) -> str | None:
    # In a thread of its own: whoever asks may be tracing a program.
    with futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(_try, units, dtype).result()


def _try(units: int, dtype: str) -> str | None:
    try:
        wavefront_lstm.compile_kernels(units, dtype)
        here = next(iter(jnp.zeros(()).devices()))
        if here.platform != "gpu":  # A program is made for another machine.
            return None
        error = difference(units, dtype)
    except cuda_compiler.CompilerError as failure:
        return str(failure)
    except Exception as failure:  # Whatever XLA or the driver find.
        return f"its kernels do not run here: {first_line(failure)}"
    if error < _TOLERANCE:  # NaN is not.
        return None
    return f"it differs from the plain scan here, by {error:.2g} of the largest gradient"


_TOLERANCE: Final = 0.05
"""Of the largest gradient: several times what bfloat16 rounds off, far less than a wrong index."""


def difference(units: int, dtype: str) -> float:
    """Returns how far two layers' gradients are from the scan's, of the largest, on this device."""
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(5, 9, units)), dtype)
    mask = jnp.asarray(draw.integers(0, 2, (5, 9, units)) * 2, jnp.float32)
    shapes = ((units, 4 * units), (units, 4 * units), (4 * units,))
    layers = [
        tuple((draw.normal(size=shape) / units**0.5).astype(np.float32) for shape in shapes)
        for _ in range(2)
    ]
    weights = draw.normal(size=x.shape).astype(np.float32)

    def gradients(method: lstm.Method) -> list[jax.Array]:
        def total(x: jax.Array, layers: Any) -> jax.Array:
            h = lstm.lstm_stack(x, layers, [mask, None], method=method, time_major=True)
            return (h.astype(jnp.float32) * weights).sum()

        found = jax.tree.leaves(jax.jit(jax.grad(total, argnums=(0, 1)))(x, layers))
        return [gradient.astype(jnp.float32) for gradient in found]

    pairs = zip(gradients("wavefront"), gradients("plain"), strict=True)
    # Not Python's `max`, which loses NaN.
    return float(np.max([jnp.abs(a - e).max() / jnp.abs(e).max() for a, e in pairs]))
