"""Evaluating a run's best checkpoint on a split of any prepared data set."""

from typing import Any

import jax
import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from mmgenre.evaluation import baselines, metrics, operating_points, split_record, tables
from mmgenre.evaluation.calibration import fit_decision_rule
from mmgenre.evaluation.decision_rule import DEFAULT_THRESHOLD, DecisionRule
from mmgenre.evaluation.predict_split import record_split
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.machine import files
from mmgenre.runs.directory import RunDirectory


def evaluate_run(run: RunDirectory, dataset: PreparedDataset, split: str) -> dict[str, Any]:
    """Computes the report of a run's best checkpoint on one split, with baselines beside it.

    Returns:
      `operating_points.evaluate_logits`, with "threshold" (0.5, of all metrics but those under
      "operating_points"), "chosen_on" (the split that fitted the others), "warning" (null where
      there is none), "loss" of the logits as they are, "run", "step", "data", "with_poster" (the
      same metrics over the movies that have a poster, and there "poster_alone" and
      "overview_alone", with the other half withheld; null where there is no such movie), and
      "baselines": the same metrics of each baseline by name.

    Raises:
      UserError: no checkpoint yet, no such split, or the data set has another tokenizer.
    """
    return _report(run, dataset, split, record_split(run, dataset, split))


def _report(
    run: RunDirectory, dataset: PreparedDataset, split: str, record: SplitRecord
) -> dict[str, Any]:
    rule = DecisionRule.load(run.path)
    report = operating_points.evaluate_logits(record.labels, record.logits, rule)
    compared = baselines.evaluate_baselines(dataset, split, *run.load_dataset_info())
    return {
        "run": run.path.name,
        "step": record.step,
        "data": {
            "name": dataset.info.name,
            "path": str(dataset.path),
            "fingerprint": dataset.info.fingerprint,
            "split": split,
        },
        "threshold": DEFAULT_THRESHOLD,
        "chosen_on": rule.chosen_on,
        "warning": operating_points.accuracy_warning(report, compared[baselines.NOTHING]),
        "loss": metrics.log_loss(record.logits, record.labels),
        **report,
        "with_poster": _with_poster(record, rule),
        "baselines": compared,
    }


def _with_poster(record: SplitRecord, rule: DecisionRule) -> dict[str, Any] | None:
    seen = record.has_poster
    if not seen.any():
        return None
    both, poster, overview = (
        operating_points.evaluate_logits(record.labels[seen], logits[seen], rule)
        for logits in (record.logits, record.poster_logits, record.overview_logits)
    )
    return {**both, "poster_alone": poster, "overview_alone": overview}


def fit_thresholds(run: RunDirectory, record: SplitRecord) -> None:
    """Fits the run's `thresholds.json` on the answers for a validation split.

    Raises:
      UserError: the file cannot be written.
    """
    if jax.process_index() != 0:
        return
    try:
        fit_decision_rule(record.logits, record.labels, schema.VALIDATION).save(run.path)
    except OSError as error:
        raise UserError(f"cannot write into {run.path}: {error}") from error


def write_record(
    run: RunDirectory, dataset: PreparedDataset, split: str, record: SplitRecord
) -> None:
    """Writes what a report draws from into the run."""
    if jax.process_index() != 0:
        return
    chosen = split_record.notable_movies(record)
    shown = read_split(
        dataset, split, schema.OVERVIEW, schema.POSTER, movies=np.concatenate(chosen)
    )
    described = iter(zip(shown[schema.OVERVIEW], shown[schema.POSTER], strict=True))
    movies = {
        name: [split_record.describe_movie(record, m, *next(described)) for m in numbers.tolist()]
        for name, numbers in zip(("wrong", "right"), chosen, strict=True)
    }
    try:
        record.save(split_record.predictions_file(run, split))
        files.write_json(split_record.movies_file(run, split), movies)
    except OSError as error:
        raise UserError(f"cannot write into {run.path}: {error}") from error


def evaluate_and_write(
    run: RunDirectory, dataset: PreparedDataset, split: str, out: epath.Path | None = None
) -> dict[str, Any]:
    """Evaluates, prints the tables, and writes the report into `out`.

    Without `out` it goes into the run's folder, with what figures are drawn from beside it.
    Process 0 does this; the others only compute their share, and get {}.
    """
    record = record_split(run, dataset, split)
    if jax.process_index() != 0:
        return {}
    report = _report(run, dataset, split, record)
    if out is None:
        out = run.evaluation_file(split)
        write_record(run, dataset, split, record)
    print(tables.evaluation_tables(report))
    try:
        files.write_json(out, report)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error}") from error
    print(f"\nwritten to {out}")
    return report
