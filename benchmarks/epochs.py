"""Training as `mmgenre.main` does it, for benchmarks that time it."""

from collections.abc import Iterable
from typing import Any

from benchmarks.configs import load_config
from mmgenre.config import Config


def prepare_process(config_name: str) -> Config:
    """Loads a config and sets this process up to train it; to be called before JAX is imported."""
    from mmgenre.machine import compilation_cache, cpu

    config = load_config(config_name)
    compilation_cache.enable()
    cpu.use_all_cores(config.batch_size)
    return config


def run_dispatches(feed: Any, state: Any, dispatches: Iterable[Any]) -> Any:
    """Runs dispatches of a `training_feed.Feed` to their end; returns the state after them."""
    import jax

    pending = None
    for dispatch in dispatches:
        state, sums = feed.run(state, dispatch)
        if pending is not None:  # One step late, as training reads them.
            jax.device_get(pending)
        pending = sums
    jax.block_until_ready((state, pending))
    return state
