"""Devices and processes: how the steps are mapped over them, and how batches reach them.

The batch of the config is the global one. Process p of P holds rows [p*B/P, (p+1)*B/P) of it, and
divides them over its local devices in order, so row r of the global batch is the same movie on any
layout. The training step is mapped with `jax.pmap` over all devices of all processes, everything
else is compiled with `jax.jit`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mmgenre.errors import UserError
from mmgenre.models.fusion import Batch

K = TypeVar("K")

AXIS: Final = "batch"
"""The name of the mapped axis: the devices that share a global batch."""

VOTE: Final = "vote"
"""The name of the processes' vote among the sums of a training step."""


def check_batch_size(batch_size: int) -> None:
    """Raises UserError where the devices cannot share a global batch evenly."""
    if batch_size % jax.device_count():
        raise UserError(
            f"config.batch_size is {batch_size}, which {jax.device_count()} devices cannot share "
            f"evenly; choose a multiple of {jax.device_count()}"
        )


def local_rows(batch_size: int) -> slice:
    """Returns the rows of the global batch that this process holds."""
    share = batch_size // jax.process_count()
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


class MappedStep:
    """A training step that `pmap_train_step` has mapped over all devices."""

    def __init__(self, mapped: Any):
        """Takes what `jax.pmap` returned; compiles nothing yet."""
        self._mapped = mapped

    def __call__(
        self, state: Any, batch: Mapping[str, np.ndarray], vote: int = 0
    ) -> tuple[Any, dict[str, jax.Array]]:
        """Starts a step; returns the state after it and its sums.

        Args:
          state: the same on all devices; it is donated.
          batch: this process' rows of the global batch.
          vote: a small int of this process; the largest of all processes' is `sums[VOTE]`. So
            processes agree without another collective.
        """
        return self._mapped(state, split_batch(batch), _votes(vote))

    def compile(self, state: Any, batch: Mapping[str, jax.ShapeDtypeStruct]) -> None:
        """Compiles the step for the one process of a run, as a call with such arguments would.

        Args:
          state: shapes, dtypes and placement; see `jit_replicated`.
          batch: shapes and dtypes of a global batch.
        """
        self._mapped.lower(state, jax.eval_shape(split_batch, batch), _votes(0)).compile()


def pmap_train_step(train_step: Callable[[Any, Batch], tuple[Any, Any]]) -> MappedStep:
    """Maps a training step over all devices; the state comes and goes unreplicated, donated.

    Both results are reduced over the devices inside the step, so both leave it once
    (`out_axes=None`). A result that were not reduced would silently be one device's.
    """

    def vote_and_step(state: Any, batch: Batch, vote: jax.Array) -> tuple[Any, Any]:
        state, sums = train_step(state, batch)
        return state, {**sums, VOTE: jax.lax.pmax(vote, AXIS)}

    return MappedStep(
        jax.pmap(
            vote_and_step,
            axis_name=AXIS,
            in_axes=(None, 0, 0),
            out_axes=(None, None),
            donate_argnums=0,
        )
    )


def _votes(vote: int) -> np.ndarray:
    return np.full(jax.local_device_count(), vote, np.int32)


def split_over_local_devices(rows: np.ndarray) -> np.ndarray:
    """Reshapes this process' rows [rows, ...] to [local devices, rows a device, ...], for pmap."""
    num_devices = jax.local_device_count()
    return rows.reshape((num_devices, rows.shape[0] // num_devices, *rows.shape[1:]))


def split_batch(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Splits each feature of this process' rows as `split_over_local_devices` does."""
    return {name: split_over_local_devices(rows) for name, rows in batch.items()}


def jit_eval_step(eval_step: Callable[[Any, Batch], Any]) -> Callable[..., Any]:
    """Compiles an evaluation step that gathers its result, over all devices of all processes."""
    mesh = _mesh()
    mapped = jax.shard_map(
        eval_step, mesh=mesh, in_specs=(P(), P(AXIS)), out_specs=P(), check_vma=False
    )
    compiled = jax.jit(mapped)

    def step(params: Any, batch: Mapping[str, np.ndarray] | Mapping[str, jax.Array]) -> Any:
        return compiled(params, put_split(batch))

    return step


def put_split(batch: Mapping[str, np.ndarray] | Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns a global batch on all devices, of this process' rows of it; what lies there stays."""
    rows = NamedSharding(_mesh(), P(AXIS))
    return {
        name: x if isinstance(x, jax.Array) else jax.make_array_from_process_local_data(rows, x)
        for name, x in batch.items()
    }


def jit_replicated(function: Callable[..., Any]) -> Any:
    """Compiles a pure function whose results lie whole on each device of all processes.

    Returns:
      What `jax.jit` returns; its `eval_shape` tells shapes, dtypes and placement.
    """
    return jax.jit(function, out_shardings=NamedSharding(_mesh(), P()))


def put_replicated(arrays: Mapping[K, np.ndarray]) -> dict[K, jax.Array]:
    """Copies arrays, the same in every process, whole to each device of all processes."""
    sharding = NamedSharding(_mesh(), P())
    return {
        name: jax.make_array_from_process_local_data(sharding, array, array.shape)
        for name, array in arrays.items()
    }


def globalize_pmap_output(tree: Any) -> Any:
    """Returns the same arrays as ones of all processes, as `jit_replicated` gives; copies nothing.

    With several processes, what comes out of `pmap` is each process' own; compiled functions take
    only what belongs to all.
    """
    if jax.process_count() == 1:
        return tree
    sharding = NamedSharding(_mesh(), P())
    return jax.tree.map(
        lambda x: jax.make_array_from_single_device_arrays(
            x.shape, sharding, [shard.data for shard in x.addressable_shards]
        ),
        tree,
    )


def own(tree: Any) -> Any:
    """Returns arrays that are the same on all devices as copies in the host's memory.

    For checkpoints. Of several processes Orbax takes no array that is on the devices of one alone.
    Of several devices it writes a slice of each: with two, as many programs to compile at the first
    save as twice the number of the arrays' shapes.
    """
    on_one = jax.tree.map(lambda x: x.addressable_data(0) if isinstance(x, jax.Array) else x, tree)
    # All are on their way at once. Copied again, since on a CPU these are the devices' own memory.
    return jax.tree.map(np.array, jax.device_get(on_one))


def host_value(x: Any) -> np.ndarray:
    """Returns the value of an array that is the same on all devices."""
    return np.asarray(x.addressable_data(0) if isinstance(x, jax.Array) else x)


@functools.cache
def _mesh() -> Mesh:
    return Mesh(np.asarray(jax.devices()), (AXIS,))
