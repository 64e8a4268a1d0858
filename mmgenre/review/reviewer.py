"""The review of a data set: all folds one after the other, then the table and the page."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import jax
import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.dataset import record_reader
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from mmgenre.machine import environment, files, folder_kinds, json_files, logs
from mmgenre.machine.progress import phase
from mmgenre.review import judge, page, ranking, table
from mmgenre.review.folds import Folds, make_folds
from mmgenre.review.reasons import Reasons, run_folder
from mmgenre.review.request import ReviewRequest
from mmgenre.runs import lock
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import validation_rows

REVIEW_FILE: Final = "review.json"
"""Says what the folder is a review of."""

TABLE_FILE: Final = "labels.csv"
PAGE_FILE: Final = "review.html"
_SHOWN: Final = 100
"""Movies on the page, of which the first are explained."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """All movies of a review, with what was said of them.

    Attributes:
      folds: the movies.
      logits: <float32>[movies, genres], calibrated, of models that never saw the movie.
    """

    folds: Folds
    logits: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """<uint8>[movies, genres], as given."""
        return self.folds.labels

    def ranked(self) -> ranking.Suspicions:
        """Returns all labels, the most suspicious first."""
        return ranking.rank(self.labels, self.logits)


def review(request: ReviewRequest) -> Judgement:
    """Trains and judges all folds that are not done, and writes the table and the page.

    Raises:
      UserError: the data set or the folder cannot be used, or is of another review.
      RunError: a loss is not finite.
      Interrupted: by a signal, after everything was saved.
    """
    dataset = open_dataset(request.data)
    out = epath.Path(request.out)
    with _own_option(), lock.held(out, folder_kinds.REVIEW):
        try:
            _start(request, dataset)
            files.sweep(out)
            logs.log_to_file(out / "log.txt")
        except OSError as error:
            raise UserError(f"cannot write into {out}: {error}") from error
        record_reader.check_share(dataset, 0, 1)
        folds = make_folds(
            dataset, _splits(request, dataset), request.num_folds, request.config.seed
        )
        judgement = Judgement(folds, _judge_all(request, folds))
        _write(request, judgement)
    return judgement


def _splits(request: ReviewRequest, dataset: PreparedDataset) -> tuple[str, ...]:
    if request.all_splits:
        return tuple(split for split in request.splits if split in dataset.info.splits)
    for split in request.splits:
        dataset.split(split)
    return request.splits


@contextlib.contextmanager
def _own_option() -> Iterator[None]:
    """Runs and locks speak of --workdir; here the option is called --out."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("--workdir", "--out")) from error


def _start(request: ReviewRequest, dataset: PreparedDataset) -> None:
    """Writes what the folder is a review of; raises UserError where it is one of something else."""
    path = epath.Path(request.out) / REVIEW_FILE
    fields: dict[str, Any] = {
        "folds": request.num_folds,
        "splits": list(_splits(request, dataset)),
        "dataset": dataset.info.name,
        "fingerprint": dataset.info.fingerprint,
    }
    if not path.exists():
        files.write_json(path, fields)
        return
    try:
        before = json_files.read_json(path)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; choose another --out") from error
    if before.get("fingerprint") != fields["fingerprint"]:
        raise UserError(
            f"{request.out} holds a review of the data set {before.get('dataset')!r} with other "
            f"contents than {dataset.info.name!r} has now; choose another --out"
        )
    for name in ("folds", "splits"):
        if before.get(name) != fields[name]:
            raise UserError(
                f"{request.out} holds a review with {name} {before.get(name)}, now it is "
                f"{fields[name]}; go on with the same, or choose another --out"
            )


def _judge_all(request: ReviewRequest, folds: Folds) -> np.ndarray:
    """Returns the logits <float32>[movies, genres] of all movies, each by the model of its fold."""
    logits = np.zeros(folds.labels.shape, np.float32)
    epochs = request.config.epochs
    before = [_epochs_done(request, fold) for fold in range(folds.num_folds)]
    _log.info(
        "%s movies in %d folds, %s groups of the same movie; %d folds done before",
        f"{len(folds.labels):,}",
        folds.num_folds,
        f"{len(np.unique(folds.groups)):,}",
        sum(_is_done(request, fold) for fold in range(folds.num_folds)),
    )
    start, trained = time.monotonic(), 0
    # A movie counts once for each epoch of each fold that it is not in.
    movies = len(folds.labels) * (folds.num_folds - 1) // folds.num_folds
    total = movies * epochs * folds.num_folds
    with phase("review", total, "movies trained on", initial=movies * sum(before)) as bar:
        for fold in range(folds.num_folds):
            told = before[fold]
            was_done = _is_done(request, fold)

            def after_epoch(epoch: int) -> None:
                nonlocal told
                if epoch > told:
                    bar.update(movies * (epoch - told))
                    told = epoch

            label = f"fold {fold + 1} of {folds.num_folds}"
            if not was_done:
                _log.info("%s: training", label)
            view = folds.view(fold)
            answers = judge.judge(
                request.config, view, run_folder(epath.Path(request.out), fold), after_epoch
            )
            logits[view.numbers[schema.TEST]] = answers.logits
            if was_done:
                continue
            after_epoch(epochs)  # Training may have stopped early.
            trained += epochs - before[fold]
            left = sum(epochs - done for done in before[fold + 1 :])
            seconds = (time.monotonic() - start) / max(trained, 1) * left
            more = f"; about {environment.duration(seconds)} left" if left else ""
            _log.info("%s: %s movies judged%s", label, f"{len(answers.logits):,}", more)
            jax.clear_caches()  # The programs of a fold are of no use to the next.
    return logits


def _is_done(request: ReviewRequest, fold: int) -> bool:
    return (run_folder(epath.Path(request.out), fold) / judge.ANSWERS_FILE).exists()


def _epochs_done(request: ReviewRequest, fold: int) -> int:
    if _is_done(request, fold):
        return request.config.epochs
    rows = validation_rows(RunDirectory(run_folder(epath.Path(request.out), fold)).metrics_file)
    return min(len(rows), request.config.epochs)


def _write(request: ReviewRequest, judgement: Judgement) -> None:
    folds, out = judgement.folds, epath.Path(request.out)
    suspicions = judgement.ranked().first(request.rows)
    genres = folds.dataset.info.genres
    try:
        table.write(out / TABLE_FILE, suspicions, judgement.labels, genres, _movies(folds))
        given = int(suspicions.given.sum())
        print(
            f"{len(folds.labels):,} movies judged; the {len(suspicions):,} most suspicious labels: "
            f"{given:,} given ones that look wrong, {len(suspicions) - given:,} that look missing"
        )
        print(f"table: {out / TABLE_FILE}", flush=True)
        shown = page.suspects(suspicions)[: max(_SHOWN, request.explained)]
        explained = min(request.explained, len(shown))
        facts = _facts(folds, [suspect.movie for suspect in shown])
        with phase("explaining", explained, "movies") as bar:
            reasons = Reasons(out, folds, facts, lambda: bar.update())
            html = page.review_page(
                folds.dataset.info.name,
                len(folds.labels),
                suspicions,
                judgement.labels,
                genres,
                shown,
                facts,
                reasons.of,
                explained,
            )
        files.write_text(out / PAGE_FILE, html)
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error}") from error
    print(f"page: {out / PAGE_FILE}")


def _movies(folds: Folds) -> dict[str, np.ndarray]:
    """Returns what the table says of each movie; see `table.write`."""
    parts: dict[str, list[np.ndarray]] = {"id": [], "title": [], "split": [], "record": []}
    for split in folds.splits:
        found = read_split(folds.dataset, split, schema.ID, schema.TITLE)
        count = len(found[schema.ID])
        parts["id"].append(found[schema.ID])
        parts["title"].append(found[schema.TITLE])
        parts["split"].append(np.full(count, split, object))
        parts["record"].append(np.arange(count))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _facts(folds: Folds, movies: list[int]) -> dict[int, dict[str, Any]]:
    """Reads the features of some movies, by the movie's number."""
    names = (*schema.RECORD_FEATURES, *folds.dataset.info.vector_sizes)
    facts: dict[int, dict[str, Any]] = {}
    start = 0
    for split in folds.splits:
        end = start + folds.dataset.split(split).num_movies
        own = [movie for movie in movies if start <= movie < end]
        found = read_split(folds.dataset, split, *names, movies=np.array(own, np.int64) - start)
        for place, movie in enumerate(own):
            facts[movie] = {name: values[place] for name, values in found.items()}
        start = end
    return facts
