"""Walking a batch in chunks small enough for the processor's cache."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def _split(arrays: tuple[jax.Array, ...], chunk: int) -> tuple[tuple[jax.Array, ...], int]:
    """Each array [N, ...] as [steps, chunk, ...], padded with zeros, in chunks of even size."""
    n = arrays[0].shape[0]
    steps = -(-n // chunk)
    even = -(-n // steps)
    padding = steps * even - n

    def split(array: jax.Array) -> jax.Array:
        if padding:
            array = jnp.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1))
        return array.reshape(steps, even, *array.shape[1:])

    return tuple(split(array) for array in arrays), n


def _join(stacked: Any, n: int) -> Any:
    """[steps, chunk, ...] back to [N, ...], for every array of a pytree."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], stacked)


def map_chunks(function: Callable[..., Any], arrays: tuple[jax.Array, ...], chunk: int) -> Any:
    """`function(*arrays)`, applied to at most `chunk` leading elements at a time.

    `function` must treat the leading elements independently. The last chunk may be padded with
    zeros, the results of which are cut off.
    """
    pieces, n = _split(arrays, chunk)
    _, outputs = lax.scan(lambda _, piece: (None, function(*piece)), None, pieces)
    return _join(outputs, n)


def scan_sum_chunks(
    function: Callable[..., Any], arrays: tuple[jax.Array, ...], chunk: int
) -> tuple[Any, Any]:
    """Like `map_chunks` for a function that returns (to be summed over chunks, to be concatenated).

    Zeros that pad the last chunk must add nothing to the sum.
    """
    pieces, n = _split(arrays, chunk)
    sums, _ = jax.eval_shape(function, *(piece[0] for piece in pieces))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), sums)

    def body(total: Any, piece: tuple[jax.Array, ...]) -> tuple[Any, Any]:
        part, output = function(*piece)
        return jax.tree.map(jnp.add, total, part), output

    total, outputs = lax.scan(body, zeros, pieces)
    return total, _join(outputs, n)
