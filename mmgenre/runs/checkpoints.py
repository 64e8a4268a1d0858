"""Checkpoints of a run, by Orbax: the latest ones, and the best by the validation metric."""

import contextlib
import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from mmgenre.distributed import device_mapping
from mmgenre.errors import RunError, UserError
from mmgenre.machine import files
from mmgenre.runs import checkpoint_integrity

_SCORE: Final = "score"
_DIGEST: Final = "crc32c"
_EXTRA: Final = "extra"
_FORMAT: Final = "format"
_FIRST_FORMAT: Final = 1
_ITEM: Final = "default"  # The name that Orbax gives the only item of a checkpoint.


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint holds.

    Attributes:
      state: the pytree that was saved.
      extra: the JSON value that was saved with it.
    """

    state: Any
    extra: Any


class RunCheckpoints:
    """The checkpoints in a folder; a context manager, since saving goes on in the background."""

    def __init__(self, directory: epath.PathLike, *, read_only: bool = False):
        """Opens the folder; unless `read_only`, makes it where it is missing."""
        self._directory = epath.Path(directory)
        if read_only and not self._directory.exists():
            raise UserError(f"{directory} has no checkpoint yet; let the training run reach one")
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
            create=not read_only,
            # A save that a kill interrupted leaves a folder that counts as no checkpoint.
            cleanup_tmp_directories=not read_only,
        )
        self._manager = ocp.CheckpointManager(_absolute(self._directory), options=options)
        self._saving: int | None = None

    def save(self, step: int, state: Any, score: float | None = None, extra: Any = None) -> None:
        """Starts saving `state`; the next save, or closing, waits for it.

        Args:
          step: steps done.
          state: a pytree of arrays, the same on all devices. It may be donated afterwards: what is
            saved is copied before this returns.
          score: the validation metric, higher is better; None for a checkpoint within an epoch.
          extra: a JSON value to save with it.

        Raises:
          RunError: this checkpoint, or the one before, cannot be written.
        """
        metrics = None if score is None else {_SCORE: score}
        self.wait()
        with self._explained(step):
            self._manager.save(
                step,
                args=ocp.args.StandardSave(device_mapping.as_global(state)),
                metrics=metrics,
                custom_metadata={
                    _DIGEST: checkpoint_integrity.tree_digest(state),
                    _SCORE: score,
                    _EXTRA: extra,
                    _FORMAT: _FIRST_FORMAT,
                },
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
            if jax.process_index() == 0:
                checkpoint_integrity.seal(self._directory / str(step))

    def latest_step(self) -> int | None:
        """The step of the newest checkpoint; None if there is none."""
        return self._manager.latest_step()

    def best(self) -> tuple[int, float] | None:
        """Step and score of the best checkpoint by the validation metric; None if there is none."""
        step = self._manager.best_step()
        if step is None:
            return None
        metrics = self._manager.metrics(step)
        return None if metrics is None else (step, float(metrics[_SCORE]))

    def restore(self, step: int, like: Any) -> Restored:
        """Reads the checkpoint of a step.

        Args:
          step: of an existing checkpoint.
          like: a pytree of `jax.ShapeDtypeStruct` with sharding: what the result is to be.

        Raises:
          UserError: the checkpoint is damaged, or another version of the program wrote it.
        """
        path = self._directory / str(step)
        try:
            metadata = self._manager.metadata(step).custom_metadata
            _check_format(path, metadata)
            state = self._manager.restore(step, args=ocp.args.StandardRestore(like))
        except UserError:
            raise
        except Exception as error:  # Orbax and TensorStore raise all sorts of them.
            raise UserError(f"the checkpoint {path} is damaged: {first_line(error)}") from error
        metadata = metadata or {}
        if checkpoint_integrity.tree_digest(state) != metadata.get(_DIGEST):
            raise UserError(f"the checkpoint {path} is damaged: its values are not those saved")
        return Restored(state, metadata.get(_EXTRA))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
      state: the pytree that was saved.
      score: the validation metric that was saved with it, or None.
      is_intact: whether the values are those that were saved.
    """

    state: Any
    score: float | None
    is_intact: bool


def read_alone(path: epath.Path, like: Any) -> Alone:
    """Reads a checkpoint's folder on this process, without the others, onto its first device.

    Args:
      path: the folder of one step.
      like: a pytree of arrays or `jax.ShapeDtypeStruct`, as it was saved.

    Raises:
      UserError: another version of the program wrote it.
      Exception: of any kind, where it is damaged.
    """
    # Orbax must not wait for the other processes.
    alone = ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0}, barrier_sync_key_prefix="read_alone"
    )
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
    one_device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    arrays = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one_device), like
    )
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
        saved = checkpointer.metadata(_absolute(path)).custom_metadata
        _check_format(path, saved)
        state = checkpointer.restore(_absolute(path) / _ITEM, args=ocp.args.StandardRestore(arrays))
    return Alone(state, saved[_SCORE], checkpoint_integrity.tree_digest(state) == saved[_DIGEST])


def _check_format(path: epath.Path, saved: dict[str, Any] | None) -> None:
    """Raises UserError where a checkpoint's metadata are of another version of the program."""
    if saved is None:
        return  # They cannot be read at all.
    written = saved.get(_FORMAT, _FIRST_FORMAT if _DIGEST in saved else "of long ago")
    if written != _FIRST_FORMAT:
        raise UserError(
            f"the checkpoint {path} was written by another version of mmgenre (format {written}, "
            f"this one reads {_FIRST_FORMAT}); use that version, or train anew in another --workdir"
        )


def _absolute(path: epath.Path) -> epath.Path:
    return path if files.is_remote(path) else path.absolute()


def score(metrics: Any) -> float:
    """The score among the metrics that Orbax keeps with a checkpoint."""
    return float(metrics[_SCORE])


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _cause(error: BaseException) -> str:
    """The first line of the error, or of one behind it that tells of a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if "No space left" in str(cause) or "quota" in str(cause).lower():
            return "no space left on the device"
        cause = cause.__cause__ or cause.__context__
    return first_line(error)
