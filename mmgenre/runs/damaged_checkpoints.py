"""Damaged checkpoints: those of a run that are not what was saved are found and set aside."""

import json
import logging

from etils import epath

from mmgenre.errors import UserError, first_line
from mmgenre.runs import checkpoint_seal, checkpoints
from mmgenre.runs.checkpoint_format import State

_log = logging.getLogger(__name__)


def set_damaged_aside(directory: epath.Path, like: State) -> None:
    """Moves damaged checkpoints that are newer than the newest whole one out of the way.

    Run it before the folder is opened, on one process. They end up in `damaged-checkpoints` beside
    the folder, so that nothing is deleted that might still be of use.

    Args:
      directory: of the checkpoints; it may be missing.
      like: pytrees of arrays or `jax.ShapeDtypeStruct`, as they were saved.

    Raises:
      UserError: there are checkpoints, and all are damaged, or another version wrote them.
    """
    damaged = []
    for step in sorted(_steps(directory), reverse=True):
        if reason := _damage(directory / str(step), like):
            damaged.append((step, reason))
        else:
            break
    else:
        if damaged:
            step, reason = damaged[0]
            raise UserError(
                f"all checkpoints in {directory} are damaged (step {step}: {reason}); restore them "
                "from a copy, or choose another --workdir to start anew"
            )
    for step, reason in damaged:
        aside = directory.parent / "damaged-checkpoints" / str(step)
        _log.warning(
            "the checkpoint of step %d is damaged (%s): using the one before; the damaged one is "
            "now %s",
            step,
            reason,
            aside,
        )
        aside.parent.mkdir(parents=True, exist_ok=True)
        if aside.exists():  # Nor is it a link: see `mmgenre.runs.lock`.
            aside.rmtree()
        (directory / str(step)).rename(aside)


def _steps(directory: epath.Path) -> list[int]:
    if not directory.exists():
        return []
    return [int(path.name) for path in directory.iterdir() if path.name.isdigit()]


def _damage(path: epath.Path, like: State) -> str:
    """Returns what is wrong with one checkpoint; empty if nothing is."""
    if reason := checkpoint_seal.broken_file(path):
        return reason
    try:
        found = checkpoints.read_alone(path, like)
        if not found.is_intact:
            return "its values are not those that were saved"
        if found.score is not None:
            metrics = json.loads((path / "metrics" / "metrics").read_text("utf-8"))
            if checkpoints.score(metrics) != found.score:
                return "its score is not the one that was saved"
    except UserError:
        raise
    except Exception as error:  # Orbax and TensorStore raise all sorts of them.
        return first_line(error)
    return ""
