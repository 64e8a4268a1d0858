"""The runs under a folder, with what one wants to know of each."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from etils import epath

from mmgenre.config import Config
from mmgenre.errors import UserError
from mmgenre.machine import file_lock, folder_kinds
from mmgenre.machine.json_files import read_json
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.lock import LOCK_FILE
from mmgenre.runs.metric_rows import validation_rows

State = Literal["training", "finished", "stopped", "not begun", "damaged"]

_DEPTH: Final = 4
_INSIDE: Final = {"checkpoints", "tensorboard", "figures"}  # Of a run; nothing to look for there.


@dataclasses.dataclass(frozen=True)
class Listed:
    """A run, as far as its folder tells.

    Attributes:
      path: its folder.
      config: the name of its config; empty where it cannot be read, as all that follows.
      dataset: the name of the data set that it is trained on.
      epoch: passes over the train split that it has made.
      epochs: that it is to make at most.
      step: of the last validation.
      metric: the validation metric that chooses the best epoch.
      score: its best value; None before the first validation.
      test_f1: micro F1 on the test split at thresholds fitted for it; None before the evaluation.
      size: bytes of its files.
      state: "training" while a process holds its lock, "finished" with an evaluation on the test
        split, "stopped" with neither, "not begun" without a validation.
    """

    path: Path
    state: State
    size: int
    config: str = ""
    dataset: str = ""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    metric: str = ""
    score: float | None = None
    test_f1: float | None = None

    def as_fields(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return dataclasses.asdict(self) | {"path": str(self.path)}


def find(folder: Path) -> Iterator[Listed]:
    """Yields the runs in a folder and in those within it, by name; the folder may be one itself.

    Raises:
      UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; runs are in the --workdir of a training")
    yield from _find(folder, _DEPTH)


def _find(folder: Path, depth: int) -> Iterator[Listed]:
    if folder_kinds.RUN.is_at(epath.Path(folder)):
        yield _listed(folder)
        return
    if depth == 0:
        return
    try:
        entries = sorted(
            Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)
        )
    except OSError:
        return
    for entry in entries:
        if entry.name not in _INSIDE:
            yield from _find(entry, depth - 1)


def _listed(folder: Path) -> Listed:
    run = RunDirectory.open(folder)
    size = sum(
        file.stat(follow_symlinks=False).st_size
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    )
    try:
        config, (info, _) = run.load_config(), run.load_dataset_info()
        rows = validation_rows(run.metrics_file)
        train = info.splits["train"].num_movies
    except (UserError, OSError, KeyError):
        return Listed(folder, "damaged", size)
    steps = max(train // config.batch_size, 1)
    step = int(rows[-1]["step"]) if rows else 0
    finished = run.evaluation_file("test")
    state: State = "stopped" if rows else "not begun"
    if file_lock.is_held(folder / LOCK_FILE):
        state = "training"
    elif finished.exists():
        state = "finished"
    return Listed(
        folder,
        state,
        size,
        config=config.name,
        dataset=info.name,
        epoch=step // steps,
        epochs=config.epochs,
        step=step,
        metric=config.selection_metric,
        score=_best(config, rows),
        test_f1=_test_f1(finished),
    )


def _best(config: Config, rows: list[dict[str, float]]) -> float | None:
    name = f"validation/{config.selection_metric}"
    found = [row[name] for row in rows if name in row]
    if not found:
        return None
    return min(found) if config.selection_metric == "loss" else max(found)


def _test_f1(path: Any) -> float | None:
    try:
        fields = read_json(path)
        value = fields["operating_points"]["for micro F1"]["f1"]["micro"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(value) if isinstance(value, float) else None
