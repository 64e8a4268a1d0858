"""A model's answers for every movie of a split, each exactly once, on all devices."""

import dataclasses
import logging
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from mmgenre.config import Config
from mmgenre.dataset.batch_plan import plan_evaluation
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset, genre_difference
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.distributed import device_mapping
from mmgenre.encoders.specs import OPTIONS
from mmgenre.errors import UserError
from mmgenre.evaluation import eval_steps, metrics
from mmgenre.evaluation.results import Averages
from mmgenre.machine.progress import phase
from mmgenre.models import fusion, views
from mmgenre.runs.best_params import load_best_params
from mmgenre.runs.directory import RunDirectory

_log = logging.getLogger(__name__)

_VALIDATION_METRICS = ("precision", "recall", "f1", "roc_auc", "average_precision")


@dataclasses.dataclass(frozen=True)
class SplitPredictions:
    """What a model says about every movie of a split, in the order of the records.

    Attributes:
      logits: <float32>[movies, genres], or [movies, views, genres].
      labels: <uint8>[movies, genres].
      genres: their names.
    """

    logits: np.ndarray
    labels: np.ndarray
    genres: tuple[str, ...]


def predict_split(
    eval_step: Callable[..., Any],
    params: Any,
    source: MovieSource,
    config: Config,
    kept: list[dict[str, jax.Array]] | None = None,
    progress: str = "",
) -> SplitPredictions:
    """Runs a model over every movie of a split, each exactly once, on all devices.

    Args:
      eval_step: of `mmgenre.evaluation.eval_steps`, by `device_mapping.jit_eval_step`.
      params: the model's parameters, on all devices.
      source: the movies.
      config: its batch size is rounded up to a multiple of the devices.
      kept: the batches on the devices, of an earlier call with the same source and config; where it
        is empty they are put into it. None: they are made anew.
      progress: what to call the phase that is shown; empty to show nothing.
    """
    batch_size = -(-config.batch_size // jax.device_count()) * jax.device_count()
    plan = plan_evaluation(
        source.num_tokens, batch_size=batch_size, bucket_lengths=config.data.bucket_lengths
    )
    num_movies = len(source.num_tokens)
    logits: np.ndarray | None = None  # Its shape is the step's to decide.
    labels = np.zeros((num_movies, len(source.genres)), np.uint8)

    def collect(movies: np.ndarray, results: tuple[jax.Array, jax.Array]) -> None:
        nonlocal logits
        real = movies >= 0
        if logits is None:
            logits = np.zeros((num_movies, *results[0].shape[1:]), np.float32)
        logits[movies[real]], labels[movies[real]] = (np.asarray(x)[real] for x in results)

    pending = None
    batches: Iterable[Any] = kept or source.batches(
        plan, rows=device_mapping.local_rows(batch_size)
    )
    if kept == []:
        kept += map(device_mapping.put_split, batches)
        batches = kept
    is_shown = bool(progress) and jax.process_index() == 0
    with phase(progress, num_movies, "movies", shown=is_shown) as bar:
        for movies, batch in zip(plan.movies, batches, strict=True):
            results = eval_step(params, batch)
            if pending is not None:  # One step late: the host prepares while the device computes.
                collect(*pending)
            pending = (movies, results)
            bar.update(int((movies >= 0).sum()))
        if pending is not None:
            collect(*pending)
    assert logits is not None, "a split has at least one movie"
    return SplitPredictions(logits, labels, source.genres)


def predict_whole(
    views_step: Callable[..., Any],
    params: Any,
    source: MovieSource,
    config: Config,
    kept: list[dict[str, jax.Array]] | None = None,
) -> SplitPredictions:
    """As `predict_split`, by `eval_steps.compiled_views`: the logits of whole movies alone."""
    found = predict_split(views_step, params, source, config, kept)
    return dataclasses.replace(found, logits=found.logits[:, views.VIEWS.index(views.BOTH)])


def predict_views(
    run: RunDirectory, dataset: PreparedDataset, split: str
) -> tuple[SplitPredictions, int]:
    """Asks a run's best checkpoint about every movie of a split, whole and with a half withheld.

    Returns:
      The answers, logits [movies, 3, genres] as of `eval_steps.eval_views_step`, and the step of
      the checkpoint.

    Raises:
      UserError: no checkpoint yet, no such split, or the data set has other genres or another
        tokenizer.
    """
    config = run.load_config()
    trained_on, _ = run.load_dataset_info()
    require_same_genres(dataset, trained_on.genres, run)
    if dataset.info.tokenizer_sha256 != trained_on.tokenizer_sha256:
        raise UserError(
            f"{dataset.path} was prepared with another tokenizer than {run.path} was trained with; "
            f"prepare it with --tokenizer {run.tokenizer_file}"
        )
    if dataset.info.vocabulary_size > config.model.vocabulary_size:
        raise UserError(
            f"{dataset.path} says that its tokenizer has {dataset.info.vocabulary_size:,} words, "
            f"more than the {config.model.vocabulary_size:,} of {run.path}; prepare it again"
        )
    if config.model.use_vectors:
        require_same_encoders(dataset, trained_on, run)
    source = MovieSource(dataset, split, config.data, with_vectors=config.model.use_vectors)
    model = fusion.build(config.model, len(trained_on.genres), trained_on.vector_sizes)
    params, step = load_best_params(run, model)
    _log.info("evaluating the best checkpoint, step %d, on the %s split", step, split)
    return predict_split(
        eval_steps.compiled_views(model), params, source, config, progress="evaluating"
    ), step


def require_same_genres(
    dataset: PreparedDataset, genres: tuple[str, ...], run: RunDirectory
) -> None:
    """Raises UserError where a data set has not the genres that a run was trained on."""
    if dataset.info.genres == genres:
        return
    raise UserError(
        f"{dataset.path} has other genres than {run.path} was trained on "
        f"({genre_difference(genres, dataset.info.genres)}); prepare it with "
        f"--genres {run.genres_file}"
    )


def require_same_encoders(
    dataset: PreparedDataset, trained_on: DatasetInfo, run: RunDirectory
) -> None:
    """Raises UserError where a data set has not the vectors that a run was trained on."""
    for name, info in trained_on.encoders.items():
        other = dataset.info.encoders.get(name)
        if other is None or (other.digest, other.size) != (info.digest, info.size):
            has = "none" if other is None else f"those of {other.name} ({other.digest[:12]})"
            raise UserError(
                f"{run.path} was trained with {name} of {info.name} ({info.digest[:12]}), but "
                f"{dataset.path} has {has}; prepare it with {OPTIONS[name]} {info.spec}"
            )


def validation_scalars(predictions: SplitPredictions) -> dict[str, float]:
    """Returns the metrics of a row, "validation/...", those left out that are not defined."""
    labels, logits = predictions.labels, predictions.logits
    plain = DecisionRule.default(predictions.genres).probabilities(logits)
    scores = metrics.evaluate_probabilities(labels, plain, genres=predictions.genres)
    scalars: dict[str, float | None] = {
        "loss": metrics.log_loss(logits, labels),
        "accuracy": scores.accuracy,
    }
    for metric in _VALIDATION_METRICS:
        averages: Averages = getattr(scores, metric)
        scalars |= {f"{metric}/micro": averages.micro, f"{metric}/macro": averages.macro}
    return {f"validation/{name}": x for name, x in scalars.items() if x is not None}
