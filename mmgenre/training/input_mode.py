"""Where movies come from and how many steps go together, where the config leaves it open."""

import dataclasses
from typing import Final

import jax

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.distributed import cluster

STEPS_PER_DISPATCH: Final = 16
_SHARE: Final = 0.5
"""Of a device's free memory that the movies may take: the rest is for the steps."""


def settled(config: Config, dataset: PreparedDataset) -> Config:
    """Returns the config with a `data.mode` other than "auto", the same on all processes.

    "resident" where this is a GPU and each device has the memory, with `STEPS_PER_DISPATCH` where
    the config asks for 1; else "stream", which has one step a dispatch.
    """
    if config.data.mode != "auto":
        return config
    num_movies = dataset.split(schema.TRAIN).num_movies
    needed = num_movies * bytes_per_movie(config.data.max_tokens, len(dataset.info.genres))
    missing = cluster.largest(int(needed > _SHARE * _least_free_bytes()))
    if missing:
        stream = dataclasses.replace(config.data, mode="stream")
        return dataclasses.replace(config, steps_per_dispatch=1, data=stream)
    steps = STEPS_PER_DISPATCH if config.steps_per_dispatch == 1 else config.steps_per_dispatch
    resident = dataclasses.replace(config.data, mode="resident")
    return dataclasses.replace(config, steps_per_dispatch=steps, data=resident)


def bytes_per_movie(max_tokens: int, num_genres: int) -> int:
    """Returns what a resident movie takes: a poster, the tokens, their number, the labels."""
    height, width, channels = schema.POSTER_SHAPE
    return height * width * channels + 4 * max_tokens + 4 + num_genres


def _least_free_bytes() -> int:
    """Free memory of the fullest device of this process; 0 where they are no GPUs."""
    if jax.default_backend() != "gpu":
        return 0
    free = []
    for device in jax.local_devices():
        stats = device.memory_stats() or {}
        free.append(stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0))
    return min(free)
