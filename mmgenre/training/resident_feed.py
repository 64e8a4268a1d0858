"""The train split resident on the devices, where batches are gathered, several steps a dispatch.

An epoch then needs of the host no more than record numbers: it sends those of a few batches at a
time, from the same `BatchPlan` as every mode follows, and the devices do the rest.

Every device holds the whole split: a global batch is drawn from all of it, so with a share each the
devices would have to exchange posters at every step. A movie takes 12,288 bytes of poster, 4 a
token of `config.data.max_tokens`, 18 of labels and 4 of length: 12,822 with 128 tokens, so 29,568
movies are 379 MB.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre import schema
from mmgenre.dataset.batch_plan import BatchPlan
from mmgenre.distributed import device_mapping
from mmgenre.distributed.device_mapping import AXIS, split_over_local_devices
from mmgenre.errors import UserError
from mmgenre.models.fusion import Batch
from mmgenre.training.dispatch import Dispatch

NUM_TOKENS: Final = "num_tokens"

TrainStep = Callable[[Any, Batch], tuple[Any, dict[str, jax.Array]]]


class ResidentFeed:
    """Steps on movies that lie on the devices."""

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        num_tokens: np.ndarray,
        train_step: TrainStep,
        *,
        batch_size: int,
        bucket_lengths: tuple[int, ...],
        steps_per_dispatch: int,
    ):
        """Copies the movies to every device.

        Args:
          arrays: "poster", "tokens", "labels" and vectors of all movies; see
            `MovieSource.read_arrays`.
          num_tokens: <int32>[movies], tokens of each overview.
          train_step: what a device does with its rows of a batch; see `Learner.train_step`.
          batch_size: movies in a global batch.
          bucket_lengths: the lengths that plans may ask for.
          steps_per_dispatch: steps of a dispatch, at most.

        Raises:
          UserError: a device says that it has not enough memory.
        """
        arrays = {**arrays, NUM_TOKENS: num_tokens.astype(np.int32)}
        num_bytes = sum(array.nbytes for array in arrays.values())
        require_space(num_bytes, len(num_tokens), jax.local_devices())
        self._data = device_mapping.put_replicated(arrays)
        self._bucket_lengths = bucket_lengths
        self._steps_per_dispatch = steps_per_dispatch
        self._rows = device_mapping.local_rows(batch_size)
        self._row_numbers = split_over_local_devices(
            np.arange(batch_size, dtype=np.int32)[self._rows]
        )
        self._steps = _pmap_steps(train_step, bucket_lengths)

    def dispatches(self, plan: BatchPlan, start: int, ends: Iterable[int]) -> Iterator[Dispatch]:
        """Yields the batches of a plan from number `start` on, up to each of `ends` in turn."""
        rows = plan.movies[:, self._rows]
        buckets = np.searchsorted(self._bucket_lengths, plan.lengths)
        for end in ends:
            # Always as large, so that one program does for all; the rest is not read.
            movies = np.zeros((self._steps_per_dispatch, rows.shape[1]), np.int32)
            bucket = np.zeros(self._steps_per_dispatch, np.int32)
            movies[: end - start] = rows[start:end]
            bucket[: end - start] = buckets[start:end]
            yield Dispatch(end - start, (split_over_local_devices(movies.T).swapaxes(1, 2), bucket))
            start = end

    def has_run(self, dispatch: Dispatch) -> bool:
        """True: there is one program, so that it is compiled before anything runs."""
        del dispatch
        return True

    def run(self, state: Any, dispatch: Dispatch, vote: int = 0) -> tuple[Any, dict[str, Any]]:
        """Starts the steps; returns the state after them and their sums, each [count] or longer."""
        movies, buckets = dispatch.inputs
        votes = np.full(jax.local_device_count(), vote, np.int32)
        count = np.int32(dispatch.num_steps)
        return self._steps(state, self._data, movies, buckets, count, self._row_numbers, votes)


def gather_batch(
    data: Mapping[str, jax.Array], movies: jax.Array, rows: jax.Array, length: int
) -> Batch:
    """Returns the batch of the movies <int32>[rows], as the other modes would give it.

    Args:
      data: the resident movies.
      movies: record numbers.
      rows: <int32>[rows], their places in the global batch.
      length: tokens that overviews are cut or padded to.
    """

    def pick(name: str) -> jax.Array:
        return data[name].at[movies].get(mode="promise_in_bounds", wrap_negative_indices=False)

    num_tokens = jnp.minimum(pick(NUM_TOKENS), length)
    return {
        schema.POSTER: pick(schema.POSTER),
        schema.TOKENS: pick(schema.TOKENS)[:, :length],
        schema.LENGTH: jnp.maximum(num_tokens, 1),
        schema.LABELS: pick(schema.LABELS),
        schema.ROW: rows,
        schema.MASK: jnp.ones(movies.shape, jnp.float32),
        **{name: pick(name) for name in schema.VECTORS if name in data},
    }


def _pmap_steps(train_step: TrainStep, bucket_lengths: tuple[int, ...]) -> Callable[..., Any]:
    """Compiles a loop over up to S steps, for all bucket lengths and counts in one program.

    One program, so that a plan's order need not be changed to bring equal lengths together, and
    that steps give the same results to the bit however they are grouped.
    """

    def steps(
        state: Any,
        data: Mapping[str, jax.Array],
        movies_SxB: jax.Array,
        buckets_S: jax.Array,
        count: jax.Array,
        rows_B: jax.Array,
        vote: jax.Array,
    ) -> tuple[Any, dict[str, jax.Array]]:
        def step(
            state: Any, movies_B: jax.Array, *, length: int
        ) -> tuple[Any, dict[str, jax.Array]]:
            return train_step(state, gather_batch(data, movies_B, rows_B, length))

        branches = [functools.partial(step, length=length) for length in bucket_lengths]
        _, like = jax.eval_shape(branches[0], state, movies_SxB[0])
        sums = {name: jnp.zeros((len(buckets_S),), x.dtype) for name, x in like.items()}

        def body(i: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, sums = carry
            state, one = jax.lax.switch(buckets_S[i], branches, state, movies_SxB[i])
            return state, {name: sums[name].at[i].set(one[name]) for name in sums}

        state, sums = jax.lax.fori_loop(0, count, body, (state, sums))
        return state, {**sums, device_mapping.VOTE: jax.lax.pmax(vote, AXIS)}

    return jax.pmap(
        steps,
        axis_name=AXIS,
        in_axes=(None, None, 0, None, None, 0, 0),
        out_axes=(None, None),
        donate_argnums=0,
    )


class Device(Protocol):
    """A device as far as it tells of its memory."""

    def memory_stats(self) -> Mapping[str, int] | None:
        """Returns "bytes_limit" and "bytes_in_use"; CPUs tell nothing."""
        ...


def require_space(num_bytes: int, num_movies: int, devices: Iterable[Device]) -> None:
    """Raises UserError where a device says that it cannot hold so many bytes."""
    for device in devices:
        stats = device.memory_stats() or {}
        if "bytes_limit" not in stats:
            continue
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
        if num_bytes > free:
            raise UserError(
                f"the {num_movies:,} movies of the train split take {num_bytes:,} bytes on each "
                f"device ({num_bytes // num_movies:,} a movie), but {device} has {free:,} free; "
                'set config.data.mode to "host" or "stream"'
            )
