"""The evaluation of a run's best checkpoint on a split of any prepared data set."""

from collections.abc import Mapping

import jax
import numpy as np
from etils import epath

from mmgenre import schema
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.dataset.read_split import read_split
from mmgenre.decisions.calibration import fit_situations
from mmgenre.decisions.decision_rule import Answers
from mmgenre.decisions.situations import SituationRules
from mmgenre.errors import UserError
from mmgenre.evaluation import (
    baselines,
    metrics,
    notable_movies,
    operating_points,
    result_files,
    summary,
    tables,
)
from mmgenre.evaluation.baseline_models import Movies
from mmgenre.evaluation.predict_split import SplitPredictions, predict_views
from mmgenre.evaluation.result_files import ResultFiles
from mmgenre.evaluation.results import (
    BaselineEvaluation,
    EvaluatedData,
    HalvesEvaluation,
    NotFitted,
    RunEvaluation,
)
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.machine.files import write_text
from mmgenre.runs.directory import RunDirectory


def evaluate_and_write(
    run: RunDirectory,
    dataset: PreparedDataset,
    split: str,
    out: epath.Path | None = None,
    *,
    full: bool = False,
) -> RunEvaluation | None:
    """Evaluates, prints a summary, or with `full` all tables, and writes the evaluation into `out`.

    Without `out` it goes into the run's folder, with what figures are drawn from beside it; see
    `mmgenre.evaluation.result_files`. Process 0 does this; the others only compute their share, and
    get None.

    Raises:
      UserError: no checkpoint yet, no such split, the data set has another tokenizer or a damaged
        shard, or a file cannot be written.
    """
    predictions, step = predict_views(run, dataset, split)
    if jax.process_index() != 0:
        return None
    # One pass for all that is wanted of the movies beside the answers.
    features = read_split(
        dataset, split, schema.ID, schema.TITLE, *baselines.features(dataset.info)
    )
    record = _record(dataset, split, predictions, step, features)
    movies = baselines.movies_of(features)
    evaluation = _evaluate(run, dataset, split, record, movies)
    print(tables.evaluation_tables(evaluation) if full else summary.of_run(evaluation))
    files = result_files.of_data(run, split, dataset.info)
    if out is None:
        out = files.evaluation
        _write_record(files, dataset, split, record)
    try:
        write_text(out, evaluation.to_json())
    except OSError as error:
        raise UserError(f"cannot write {out}: {error}") from error
    print(f"\nwritten to {run.shown(out)}")
    if out == files.evaluation != result_files.of_own_data(run, split).evaluation:
        print("(another data set than the run's own, whose results stay as they are)")
    return evaluation


def choose_thresholds(run: RunDirectory, dataset: PreparedDataset) -> None:
    """Fits the run's `thresholds.json` on the validation split, and keeps the answers for it.

    Raises:
      UserError: as `evaluate_and_write`.
    """
    split = schema.VALIDATION
    predictions, step = predict_views(run, dataset, split)
    if jax.process_index() != 0:
        return
    features = read_split(dataset, split, schema.ID, schema.TITLE, schema.HAS_POSTER)
    record = _record(dataset, split, predictions, step, features)
    _write_record(result_files.of_own_data(run, split), dataset, split, record)
    rules = fit_situations(
        record.logits,
        record.poster_logits,
        record.overview_logits,
        record.labels,
        record.has_poster,
        record.num_tokens > 0,
        chosen_on=split,
        names=predictions.genres,
    )
    try:
        rules.save(run.path)
    except OSError as error:
        raise UserError(f"cannot write into {run.path}: {error}") from error


def _record(
    dataset: PreparedDataset,
    split: str,
    predictions: SplitPredictions,
    step: int,
    features: Mapping[str, np.ndarray],
) -> SplitRecord:
    both, poster, overview = np.moveaxis(predictions.logits, 1, 0)
    return SplitRecord(
        step=step,
        dataset_name=dataset.info.name,
        fingerprint=dataset.info.fingerprint,
        ids=features[schema.ID].astype(str),
        titles=features[schema.TITLE].astype(str),
        labels=predictions.labels,
        logits=both,
        poster_logits=poster,
        overview_logits=overview,
        has_poster=features[schema.HAS_POSTER],
        num_tokens=dataset.index(split).num_tokens,
    )


def _evaluate(
    run: RunDirectory, dataset: PreparedDataset, split: str, record: SplitRecord, movies: Movies
) -> RunEvaluation:
    trained_on, _ = run.load_dataset_info()
    rules = SituationRules.load(run.path, trained_on.genres)
    answers = rules.answers(record.logits, record.has_poster, record.num_tokens > 0)
    beside = _beside(record, answers)
    evaluation = operating_points.evaluate_answers(
        record.labels, record.logits, answers, rules.names, beside.of_all
    )
    compared = baselines.evaluate_baselines(
        dataset, split, movies, trained_on, _home(run, dataset), beside
    )
    nothing = compared[baselines.NOTHING]
    assert isinstance(nothing, BaselineEvaluation)  # It is not fitted, so there always is one.
    return RunEvaluation(
        **vars(evaluation),
        run=run.path.name,
        step=record.step,
        data=EvaluatedData(
            name=dataset.info.name,
            path=str(dataset.path),
            fingerprint=dataset.info.fingerprint,
            split=split,
        ),
        chosen_on=rules.chosen_on,
        warning=operating_points.accuracy_warning(evaluation, nothing),
        loss=metrics.log_loss(record.logits, record.labels),
        with_poster=_with_poster(record, rules, beside),
        baselines=compared,
    )


def _home(run: RunDirectory, dataset: PreparedDataset) -> PreparedDataset | NotFitted:
    """Returns the data set that the run is trained on, or why the baselines cannot have it."""
    trained_on, path = run.load_dataset_info()
    if dataset.info.fingerprint == trained_on.fingerprint:
        return dataset
    try:
        home = open_dataset(path)
    except UserError:
        return NotFitted.DATA_GONE
    return home if home.info.fingerprint == trained_on.fingerprint else NotFitted.DATA_CHANGED


def _beside(record: SplitRecord, answers: Answers) -> baselines.ModelBeside:
    """Returns the model in resamples, to compare baselines with."""
    seen = record.has_poster
    return baselines.ModelBeside(
        operating_points.resample_answers(record.labels, record.logits, answers),
        operating_points.resample_answers(
            record.labels[seen], record.logits[seen], answers.of(seen)
        )
        if seen.any()
        else None,
    )


def _with_poster(
    record: SplitRecord, rules: SituationRules, beside: baselines.ModelBeside
) -> HalvesEvaluation | None:
    """Evaluates the movies that have a poster, whole and with either half withheld."""
    seen = record.has_poster
    if not seen.any():
        return None
    labels, logits = record.labels[seen], record.logits[seen]
    answers = rules.answers(logits, record.has_poster[seen], record.num_tokens[seen] > 0)
    both = operating_points.evaluate_answers(
        labels, logits, answers, rules.names, beside.with_poster
    )
    return HalvesEvaluation(
        **vars(both),
        poster_alone=operating_points.evaluate_logits(
            labels, record.poster_logits[seen], rules.poster_alone
        ),
        overview_alone=operating_points.evaluate_logits(
            labels, record.overview_logits[seen], rules.overview_alone
        ),
    )


def _write_record(
    files: ResultFiles, dataset: PreparedDataset, split: str, record: SplitRecord
) -> None:
    """Writes what a report draws from."""
    chosen = notable_movies.choose(record)
    shown = read_split(
        dataset, split, schema.OVERVIEW, schema.POSTER, movies=np.concatenate([*chosen])
    )
    movies = notable_movies.describe(
        record, chosen, shown[schema.OVERVIEW], shown[schema.POSTER], dataset.info.genres
    )
    try:
        record.save(files.predictions)
        write_text(files.movies, movies.to_json())
    except OSError as error:
        raise UserError(f"cannot write {files.predictions}: {error}") from error
