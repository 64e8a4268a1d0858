"""Random numbers: one seed, one named stream for each use.

The order is fixed: first the stream's name is folded into the key of the seed, then the step. What
differs between movies is folded in by position in the global batch (`mmgenre.models.dropout`),
never by device, so that results do not depend on the number of devices.
"""

import functools
import zlib
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

INIT: Final = "init"
DROPOUT: Final = "dropout"


@functools.partial(jax.jit, static_argnums=(0, 1))  # One program in place of three.
def stream_key(seed: int, name: str) -> jax.Array:
    """Returns the key of the stream `name`."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


@functools.partial(jax.jit, static_argnums=0)
def init_key(seed: int) -> jax.Array:
    """Returns the key that initial parameters are drawn from.

    It uses XLA's own generator: drawing a model's parameters with Threefry takes three times as
    long to compile, which a user waits for at the start of each run.
    """
    seed_words = jax.random.key_data(stream_key(seed, INIT))
    return jax.random.wrap_key_data(jnp.tile(seed_words, 2), impl="rbg")


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Returns the generator that shuffles the movies of an epoch, on the host."""
    return np.random.default_rng((seed, epoch))
