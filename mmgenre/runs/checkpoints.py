"""Checkpoints of a run, by Orbax: the latest ones, and the best by the validation metric."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from mmgenre.distributed import cluster, device_mapping
from mmgenre.errors import RunError, UserError, first_line
from mmgenre.machine import files
from mmgenre.runs import checkpoint_format, checkpoint_seal
from mmgenre.runs.checkpoint_format import State

_SCORE: Final = "score"


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint holds.

    Attributes:
      state: the state that was saved, or the parts of it that were asked for.
      extra: the JSON value that was saved with it.
    """

    state: Any
    extra: Any


class RunCheckpoints:
    """The checkpoints in a folder; a context manager, since saving goes on in the background.

    Of several processes, all of which call the same methods, the first alone reads and writes the
    folder: the state is the same on all of them.
    """

    def __init__(self, directory: epath.PathLike, *, read_only: bool = False):
        """Opens the folder; unless `read_only`, makes it where it is missing.

        Raises:
          UserError: nothing is there to be read.
        """
        self._directory = epath.Path(directory)
        self._opened: ocp.CheckpointManager | None = None
        self._saving: int | None = None
        cluster.on_first_process(lambda: self._open(read_only))

    def _open(self, read_only: bool) -> None:
        if read_only and not self._directory.exists():
            raise UserError(
                f"{self._directory} has no checkpoint yet; let the training run reach one"
            )
        if not read_only:
            self._directory.mkdir(parents=True, exist_ok=True)
        policies = (
            checkpoint_managers.LatestN(2),
            checkpoint_managers.BestN(
                n=1, get_metric_fn=score, keep_checkpoints_without_metrics=False
            ),
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            best_fn=score,
            best_mode="max",
            read_only=read_only,
            create=False,
            # A save that a kill interrupted leaves a folder that counts as no checkpoint.
            cleanup_tmp_directories=not read_only,
            multiprocessing_options=_alone("run_checkpoints"),
        )
        handlers = {
            item: ocp.StandardCheckpointHandler(multiprocessing_options=_alone("run_checkpoints"))
            for item in checkpoint_format.ITEMS
        }
        self._opened = ocp.CheckpointManager(
            _absolute(self._directory), options=options, item_handlers=handlers
        )

    @property
    def _manager(self) -> ocp.CheckpointManager:
        """Orbax', on the first process."""
        assert self._opened is not None
        return self._opened

    def save(self, step: int, state: State, score: float | None = None, extra: Any = None) -> None:
        """Starts saving `state`, on the first process; the next save, or closing, waits for it.

        Args:
          step: steps done.
          state: pytrees of arrays, the same on all devices. They may be donated afterwards: what is
            saved is copied before this returns.
          score: the validation metric, higher is better; None for a checkpoint within an epoch.
          extra: a JSON value to save with it.

        Raises:
          RunError: this checkpoint, or the one before, cannot be written.
        """
        if self._opened is None:
            return
        metrics = None if score is None else {_SCORE: score}
        self.wait()
        with self._explained(step):
            items = device_mapping.own(checkpoint_format.split(state))
            digests = {item: checkpoint_format.tree_digest(tree) for item, tree in items.items()}
            self._manager.save(
                step,
                args=_composite(ocp.args.StandardSave, items),
                metrics=metrics,
                custom_metadata=checkpoint_format.Metadata(digests, score, extra).to_json(),
                force=True,
            )
        self._saving = step

    def wait(self) -> None:
        """Waits until everything is saved; raises RunError where it cannot be."""
        step, self._saving = self._saving, None
        if step is None:
            return
        with self._explained(step):
            self._manager.wait_until_finished()
            checkpoint_seal.seal(self._directory / str(step))

    def latest_step(self) -> int | None:
        """The step of the newest checkpoint; None if there is none."""
        step: int | None = cluster.on_first_process(lambda: self._manager.latest_step())
        return step

    def best(self) -> tuple[int, float] | None:
        """Step and score of the best checkpoint by the validation metric; None if there is none."""
        found = cluster.on_first_process(self._best)
        return None if found is None else (found[0], found[1])

    def _best(self) -> tuple[int, float] | None:
        step = self._manager.best_step()
        if step is None:
            return None
        metrics = self._manager.metrics(step)
        return None if metrics is None else (step, float(metrics[_SCORE]))

    def restore(self, step: int, like: State) -> Restored:
        """Reads the checkpoint of a step.

        Args:
          step: of an existing checkpoint.
          like: pytrees of `jax.ShapeDtypeStruct` with sharding: what the result is to be. Only the
            parts in it are read: {"params": ...} needs no optimizer.

        Raises:
          UserError: the checkpoint is damaged, or another version of the program wrote it.
        """
        if jax.process_count() == 1:
            return self._restore(step, like)
        read: list[State] = []

        def on_first() -> Any:
            restored = self._restore(step, _on_one_device(like))
            read.append(restored.state)
            return restored.extra

        extra = cluster.on_first_process(on_first)
        values = jax.tree.map(
            device_mapping.host_value if read else lambda x: np.zeros(x.shape, x.dtype),
            read[0] if read else dict(like),
        )
        leaves, structure = jax.tree.flatten(cluster.of_first_process(values))
        placed = device_mapping.put_replicated(dict(enumerate(leaves)))
        return Restored(jax.tree.unflatten(structure, placed.values()), extra)

    def _restore(self, step: int, like: State) -> Restored:
        path = self._directory / str(step)
        try:
            saved = checkpoint_format.Metadata.read(
                path, self._manager.metadata(step).custom_metadata
            )
            wanted = checkpoint_format.split(like, saved.format)
            if whole := wanted.get(checkpoint_format.EVERYTHING):
                tree = self._manager.item_metadata(step)[checkpoint_format.EVERYTHING].tree
                wanted = {
                    checkpoint_format.EVERYTHING: checkpoint_format.everything_like(tree, whole)
                }
            items = self._manager.restore(step, args=_composite(ocp.args.StandardRestore, wanted))
        except UserError:
            raise
        except Exception as error:  # Orbax and TensorStore raise all sorts of them.
            raise UserError(f"the checkpoint {path} is damaged: {first_line(error)}") from error
        if not saved.prove(items):
            raise UserError(f"the checkpoint {path} is damaged: its values are not those saved")
        state = checkpoint_format.join(items)
        return Restored({name: state[name] for name in like}, saved.extra)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is None:
            return
        if error is None:
            self.wait()
            self._manager.close()
            return
        # A save under way is still finished; the error that ended the run is the one to report.
        with contextlib.suppress(Exception):
            self.wait()
            self._manager.close()

    @contextlib.contextmanager
    def _explained(self, step: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise RunError(
                f"cannot save the checkpoint of step {step} in {self._directory}: "
                f"{_cause(error)}. Earlier checkpoints are whole: mend it and run the same command "
                "again to go on from them"
            ) from error


@dataclasses.dataclass(frozen=True)
class Alone:
    """A checkpoint as one process reads it.

    Attributes:
      score: the validation metric that was saved with it, or None.
      is_intact: whether the values are those that were saved.
    """

    score: float | None
    is_intact: bool


def read_alone(path: epath.Path, like: State) -> Alone:
    """Reads a checkpoint's folder on this process, without the others, onto its first device.

    Args:
      path: the folder of one step.
      like: pytrees of arrays or `jax.ShapeDtypeStruct`, as they were saved.

    Raises:
      UserError: another version of the program wrote it.
      Exception: of any kind, where it is damaged.
    """
    alone = _alone("read_alone")
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
    arrays = _on_one_device(like)
    folder = _absolute(path)
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
        metadata = checkpointer.metadata(folder).custom_metadata
        saved = checkpoint_format.Metadata.read(path, metadata)
        items = {
            item: checkpointer.restore(folder / item, args=ocp.args.StandardRestore(tree))
            for item, tree in checkpoint_format.split(arrays, saved.format).items()
        }
    return Alone(saved.score, saved.prove(items))


def _alone(name: str) -> ocp.options.MultiprocessingOptions:
    """Orbax must not wait for the other processes."""
    return ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0}, barrier_sync_key_prefix=name
    )


def _on_one_device(like: State) -> State:
    """Returns the shapes and dtypes of a state, to be read onto this process' first device."""
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), dict(like)
    )


def _composite(arguments: Callable[[Any], Any], items: Mapping[str, Any]) -> ocp.args.Composite:
    """Orbax' arguments of all items."""
    return ocp.args.Composite(**{item: arguments(tree) for item, tree in items.items()})


def _absolute(path: epath.Path) -> epath.Path:
    return path if files.is_remote(path) else path.absolute()


def score(metrics: Any) -> float:
    """The score among the metrics that Orbax keeps with a checkpoint."""
    return float(metrics[_SCORE])


def _cause(error: BaseException) -> str:
    """The first line of the error, or of one behind it that tells of a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if "No space left" in str(cause) or "quota" in str(cause).lower():
            return "no space left on the device"
        cause = cause.__cause__ or cause.__context__
    return first_line(error)
