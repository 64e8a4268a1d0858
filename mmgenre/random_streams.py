"""Random numbers: one seed, one named stream for each use.

The order is fixed: first the stream's name is folded into the key of the seed, then the step. What
differs between movies is folded in by position in the global batch (`mmgenre.models.dropout`),
never by device, so that results do not depend on the number of devices.
"""

import zlib
from typing import Final

import jax
import numpy as np

INIT: Final = "init"
DROPOUT: Final = "dropout"


def stream_key(seed: int, name: str) -> jax.Array:
    """Returns the key of the stream `name` (`INIT`, `DROPOUT`)."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Returns the generator that shuffles the movies of an epoch, on the host."""
    return np.random.default_rng((seed, epoch))
