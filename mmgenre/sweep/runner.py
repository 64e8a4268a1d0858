"""Trains the points of a sweep one after the other, and goes on where an earlier start ended."""

import dataclasses
import logging
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from etils import epath

from mmgenre.config import Config
from mmgenre.dataset.prepared import open_dataset
from mmgenre.errors import Interrupted, RunError, UserError
from mmgenre.machine import environment, files, folder_kinds, special_files
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import validation_rows
from mmgenre.sweep import child, results
from mmgenre.sweep.grid import Axes, Point
from mmgenre.sweep.place import Place
from mmgenre.sweep.results import DONE, FAILED, NOT_DONE, PointResult

DONE_FILE: Final = "sweep_point_done.json"
"""In a point's folder, once its training and its evaluation have ended well.

Other files do not tell: an evaluation, too, can be of a run that is half trained.
"""

_SIGNALLED: Final = {
    code: signum for signum in (signal.SIGINT, signal.SIGTERM) for code in (-signum, 128 + signum)
}
"""The signal behind an exit code."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the command line asks for.

    Attributes:
      axes: the grid.
      points: what to train, in this order.
      place: of the sweep; each point has a run directory in it.
      arguments: of `mmgenre.main`, for all points.
      resume_command: what the user may run to go on.
    """

    axes: Axes
    points: Sequence[Point]
    place: Place
    arguments: Sequence[str]
    resume_command: str


def run(plan: Plan) -> None:
    """Trains the points that are not done, and prints and writes the results.

    Raises:
      UserError: a point's folder holds another run, or a folder cannot be written.
      RunError: some points failed; the others are done.
      Interrupted: by a signal, after the point under way has ended at it.
    """
    place = plan.place
    if not place.address:
        _check_folders(plan)
    signals = child.Signals()
    signals.install()
    with place.held([point.name for point in plan.points]):
        if place.address:  # Only now is it known what is there.
            _check_folders(plan)
        try:
            found = _Sweep(plan, signals).train()
        except OSError as error:
            raise UserError(f"cannot write into {place}: {error}") from error
    print(results.tables(plan.axes, found))
    best = results.ranked(found)[0]
    if best.score is not None:
        print(f"\nbest: {place.workdir(best.point.name)}")
    print(f"written to {place.shown(place.folder / results.JSON_FILE)} and {results.CSV_FILE}")
    failed = [result for result in found if result.status == FAILED]
    if failed:
        output = place.shown(place.folder / failed[0].point.name / child.OUTPUT)
        raise RunError(
            f"{len(failed)} of {len(found)} points failed, the first one with: {failed[0].reason} "
            f"({output} has all it said); the same command tries them again"
        )


class _Sweep:
    """What is known of the points while they are trained."""

    def __init__(self, plan: Plan, signals: child.Signals):
        self._plan = plan
        self._signals = signals
        self._results = [
            self._read(point, DONE if (self._path(point) / DONE_FILE).exists() else NOT_DONE)
            for point in plan.points
        ]

    def train(self) -> list[PointResult]:
        """Trains what is not done, in the order of the plan."""
        todo = [i for i, result in enumerate(self._results) if result.status != DONE]
        total = len(self._results)
        _log.info("%s: %d of %d points done before", self._plan.place, total - len(todo), total)
        self._write()
        for others, i in zip(reversed(range(len(todo))), todo, strict=True):
            self._results[i] = self._train(self._plan.points[i], f"point {i + 1}/{total}", others)
            self._write()
            self._raise_if_signalled(f"after point {i + 1}/{total}")
        return self._results

    def _train(self, point: Point, label: str, others: int) -> PointResult:
        """Trains a point to its end; `others` are still to come after it."""
        self._raise_if_signalled(f"before {label}")
        seconds = [result.seconds for result in self._results if result.status == DONE]
        mean = sum(seconds) / len(seconds) if seconds else None
        left = "" if mean is None else f"; about {environment.duration((others + 1) * mean)} left"
        _log.info("%s: %s%s", label, point.name, left)
        place, folder = self._plan.place, self._path(point)
        watch = _EpochWatch(label, point, place.trained_in(point.name), others, mean)
        workdir = f"--workdir={place.workdir(point.name)}"
        arguments = [*self._plan.arguments, *point.flags, workdir]
        code, reason = child.train(arguments, folder, self._signals, watch.look)
        place.fetch(point.name)
        place.send(folder / child.OUTPUT)
        if code == 0:
            files.write_json(folder / DONE_FILE, {"finished": environment.now()})
            place.send(folder / DONE_FILE)
            result = self._read(point, DONE)
            _log.info("%s: done, %s", label, result.summary())
            return result
        self._raise_if_signalled(f"in {label}", _SIGNALLED.get(code))
        _log.error("%s: failed: %s", label, reason)
        return self._read(point, FAILED, reason)

    def _raise_if_signalled(self, when: str, signum: int | None = None) -> None:
        """`signum` is a signal that reached the point's process alone."""
        signum = next(iter(self._signals.received), signum)
        if signum:
            raise Interrupted(signum, f"stopped {when}; go on with: {self._plan.resume_command}")

    def _write(self) -> None:
        place = self._plan.place
        results.write(epath.Path(place.folder), self._plan.axes, self._results)
        place.send(place.folder / results.JSON_FILE, place.folder / results.CSV_FILE)

    def _path(self, point: Point) -> Path:
        return self._plan.place.folder / point.name

    def _read(self, point: Point, status: str, reason: str = "") -> PointResult:
        return PointResult.read(self._plan.place.run(point.name), point, status, reason)


class _EpochWatch:
    """Tells of each epoch of the point under way, from its metrics file."""

    def __init__(
        self, label: str, point: Point, run: RunDirectory, others: int, mean: float | None
    ):
        """Begins after the epochs that are there; `mean` is the seconds that a point takes."""
        self._label, self._run, self._others, self._mean = label, run, others, mean
        self._metric = point.config.selection_metric
        self._epochs = point.config.epochs
        self._told = self._first = len(validation_rows(run.metrics_file))
        self._seen = self._modified()
        self._start = time.monotonic()

    def look(self) -> None:
        """Tells what is new, if anything is."""
        modified = self._modified()
        if modified == self._seen:
            return
        self._seen = modified
        rows = validation_rows(self._run.metrics_file)
        for epoch, row in enumerate(rows[self._told :], self._told + 1):
            score = row.get(f"validation/{self._metric}", float("nan"))
            _log.info(
                "%s: epoch %d/%d, %s %.4f; at most about %s left",
                self._label,
                epoch,
                self._epochs,
                self._metric,
                score,
                environment.duration(self._seconds_left(epoch)),
            )
            self._told = epoch

    def _seconds_left(self, epoch: int) -> float:
        """For this point and all others, if none stops early."""
        one_epoch = (time.monotonic() - self._start) / (epoch - self._first)
        another = one_epoch * self._epochs if self._mean is None else self._mean
        return one_epoch * (self._epochs - epoch) + self._others * another

    def _modified(self) -> int:
        try:
            return Path(self._run.metrics_file).stat().st_mtime_ns
        except OSError:  # There is no such file yet.
            return 0


def _check_folders(plan: Plan) -> None:
    """Raises UserError where the data set or a folder cannot be used, as with another run in it."""
    folder = plan.points[0].config.data.dir
    info = open_dataset(folder).info if folder else None  # None: the demo corpus.
    special_files.refuse_in(plan.place.folder, "--workdir")
    if not plan.place.address:
        folder_kinds.require(plan.place.folder, folder_kinds.SWEEP, "--workdir")
    for point in plan.points:
        run_directory = plan.place.run(point.name)
        folder_kinds.require(run_directory.path, folder_kinds.RUN, "--workdir")
        if run_directory.config_file.exists():
            run_directory.check_same(point.config, info or run_directory.load_dataset_info()[0])
            _check_length(run_directory, point.config)


def _check_length(run_directory: RunDirectory, config: Config) -> None:
    """A single run may go on for longer; the points of a sweep have the same chance."""
    before = run_directory.load_config()
    for name in ("epochs", "patience"):
        old, new = getattr(before, name), getattr(config, name)
        if old != new:
            raise UserError(
                f"{run_directory.shown(run_directory.path)} holds a run with config.{name} = "
                f"{old}, now it is {new}; go on with the same value, or choose another --workdir"
            )
