"""Checkpoints of a run, by Orbax: the latest ones, and the best by the validation metric."""

from types import TracebackType
from typing import Any, Self

import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from mmgenre.errors import UserError

_SCORE = "score"


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
                n=1, get_metric_fn=_score, keep_checkpoints_without_metrics=False
            ),
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            best_fn=_score,
            best_mode="max",
            read_only=read_only,
            create=not read_only,
            # A save that a kill interrupted leaves a folder that counts as no checkpoint.
            cleanup_tmp_directories=not read_only,
        )
        self._manager = ocp.CheckpointManager(self._directory.absolute(), options=options)

    def save(self, step: int, state: Any, score: float | None = None) -> None:
        """Starts saving `state`; the next save, or closing, waits for it.

        Args:
          step: steps done.
          state: a pytree of arrays.
          score: the validation metric, higher is better; None for a checkpoint within an epoch.
        """
        metrics = None if score is None else {_SCORE: score}
        args = ocp.args.StandardSave(state)
        self._manager.save(step, args=args, metrics=metrics, force=True)

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

    def restore(self, step: int, like: Any) -> Any:
        """Reads the checkpoint of a step.

        Args:
          step: of an existing checkpoint.
          like: a pytree of `jax.ShapeDtypeStruct` with sharding: what the result is to be.
        """
        return self._manager.restore(step, args=ocp.args.StandardRestore(like))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._manager.close()


def _score(metrics: Any) -> float:
    return float(metrics[_SCORE])
