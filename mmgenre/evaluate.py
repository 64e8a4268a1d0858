"""Evaluates a finished run on a split of any prepared data set.

python -m mmgenre.evaluate --run runs/model1 --data data/movies --split test
"""

import argparse
import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from etils import epath

from mmgenre import (
    baselines,
    metrics,
    optimizer,
    parallel,
    random_streams,
    report_tables,
    schema,
    steps,
)
from mmgenre.batch_plan import plan_evaluation
from mmgenre.checkpoint import RunCheckpoints
from mmgenre.config import Config
from mmgenre.errors import UserError, run_command
from mmgenre.input_pipeline import MovieSource
from mmgenre.models import fusion
from mmgenre.prepared_dataset import PreparedDataset, open_dataset
from mmgenre.run_directory import RunDirectory, write_json
from mmgenre.train_state import TrainState

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SplitPredictions:
    """What a model says about every movie of a split, in the order of the records.

    Attributes:
      logits: <float32>[movies, 18].
      labels: <uint8>[movies, 18].
    """

    logits: np.ndarray
    labels: np.ndarray


def predict_split(
    eval_step: Callable[..., Any], params: Any, source: MovieSource, config: Config
) -> SplitPredictions:
    """Runs a model over every movie of a split, each exactly once, on all devices.

    Args:
      eval_step: `steps.eval_step`, by `parallel.jit_eval_step`.
      params: the model's parameters, on all devices.
      source: the movies.
      config: its batch size is rounded up to a multiple of the devices.
    """
    batch_size = -(-config.batch_size // jax.device_count()) * jax.device_count()
    plan = plan_evaluation(
        source.num_tokens, batch_size=batch_size, bucket_lengths=config.data.bucket_lengths
    )
    num_movies = len(source.num_tokens)
    logits = np.zeros((num_movies, schema.NUM_GENRES), np.float32)
    labels = np.zeros((num_movies, schema.NUM_GENRES), np.uint8)

    def collect(movies: np.ndarray, results: tuple[jax.Array, jax.Array]) -> None:
        real = movies >= 0
        logits[movies[real]], labels[movies[real]] = (np.asarray(x)[real] for x in results)

    pending = None
    batches = source.batches(plan, rows=parallel.local_rows(batch_size))
    for movies, batch in zip(plan.movies, batches, strict=True):
        results = eval_step(params, batch)
        if pending is not None:  # One step late: the host prepares while the device computes.
            collect(*pending)
        pending = (movies, results)
    if pending is not None:
        collect(*pending)
    return SplitPredictions(logits, labels)


def load_best_params(run: RunDirectory, model: fusion.FusionModel) -> tuple[Any, int]:
    """Reads the parameters of a run's best checkpoint, and the step that it was saved at."""
    create = functools.partial(TrainState.create, model, optimizer.build(run.load_config()))
    abstract = parallel.abstract_replicated(create, random_streams.init_key(0))
    with RunCheckpoints(run.checkpoints, read_only=True) as checkpoints:
        best = checkpoints.best()
        step = best[0] if best else checkpoints.latest_step()
        if step is None:
            raise UserError(f"{run.path} has no checkpoint yet; let the training run reach one")
        return checkpoints.restore(step, abstract).state.params, step


def evaluate_run(run: RunDirectory, dataset: PreparedDataset, split: str) -> dict[str, Any]:
    """Computes the report of a run's best checkpoint on one split, with baselines beside it.

    Returns:
      `metrics.evaluate_probabilities` at threshold 0.5, with "loss", "run", "step", "data", and
      "baselines": the same metrics of each baseline by name. On processes other than 0: {}.

    Raises:
      UserError: no checkpoint yet, no such split, or the data set has another tokenizer.
    """
    config = run.load_config()
    trained_on, trained_path = run.load_dataset_info()
    if dataset.info.tokenizer_sha256 != trained_on.tokenizer_sha256:
        raise UserError(
            f"{dataset.path} was prepared with another tokenizer than {run.path} was trained with; "
            f"prepare it with --tokenizer {run.tokenizer_file}"
        )
    source = MovieSource(dataset, split, config.data)
    model = fusion.build(config.model)
    params, step = load_best_params(run, model)
    eval_step = parallel.jit_eval_step(functools.partial(steps.eval_step, model=model))
    predictions = predict_split(eval_step, params, source, config)
    if jax.process_index() != 0:
        return {}
    report = metrics.evaluate_probabilities(predictions.labels, metrics.sigmoid(predictions.logits))
    return {
        "run": run.path.name,
        "step": step,
        "data": {
            "name": dataset.info.name,
            "path": str(dataset.path),
            "fingerprint": dataset.info.fingerprint,
            "split": split,
        },
        "threshold": metrics.THRESHOLD,
        "loss": metrics.log_loss(predictions.logits, predictions.labels),
        **report,
        "baselines": baselines.evaluate_baselines(dataset, split, trained_on, trained_path),
    }


def evaluate_and_write(
    run: RunDirectory, dataset: PreparedDataset, split: str, out: epath.Path | None = None
) -> dict[str, Any]:
    """Evaluates, prints the tables, and writes the report into `out` (default: the run)."""
    report = evaluate_run(run, dataset, split)
    out = out or run.evaluation_file(split)
    if jax.process_index() == 0:
        print(report_tables.evaluation_tables(report))
        try:
            write_json(out, report)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error}") from error
        print(f"\nwritten to {out}")
    return report


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mmgenre.evaluate", description=__doc__)
    parser.add_argument("--run", required=True, help="folder of a run")
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--split", default=schema.TEST, choices=schema.SPLITS)
    parser.add_argument("--out", type=epath.Path, help="JSON file (default: in the run's folder)")
    args = parser.parse_args()
    evaluate_and_write(RunDirectory.open(args.run), open_dataset(args.data), args.split, args.out)


if __name__ == "__main__":
    run_command(main)
