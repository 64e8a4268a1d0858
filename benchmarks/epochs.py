"""Training as `mmgenre.main` does it, for benchmarks that time it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.configs import load_config
from mmgenre.config import Config

if TYPE_CHECKING:
    from mmgenre.training.dispatch import Dispatch, Feed
    from mmgenre.training.state import TrainState


def prepare_process(config_name: str) -> Config:
    """Loads a config and sets this process up to train it; to be called before JAX is imported."""
    from mmgenre.machine import compilation_cache, cpu

    config = load_config(config_name)
    compilation_cache.enable()
    cpu.use_all_cores(config.batch_size)
    return config


def run_dispatches(feed: "Feed", state: "TrainState", dispatches: Iterable["Dispatch"]) -> Any:
    """Runs dispatches to their end as training does; returns the state after them."""
    import jax

    from mmgenre.training.dispatch import StepsUnderWay
    from mmgenre.training.save_times import SaveTimes

    steps = StepsUnderWay(feed, state, lambda step, sums: None, SaveTimes(Config()))
    for dispatch in dispatches:
        steps.start(dispatch)
    steps.finish()
    return jax.block_until_ready(steps.state)
