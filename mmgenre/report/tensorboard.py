"""An evaluation for TensorBoard: settings, confusion matrices and PR curves, by CLU."""

import dataclasses
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from clu import metric_writers
from PIL import Image
from tensorboard.plugins.pr_curve import metadata as pr_metadata

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.decisions.situations import SituationRules
from mmgenre.evaluation import result_files, tables
from mmgenre.evaluation.results import RunEvaluation
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.report.run_data import most_common
from mmgenre.runs.directory import RunDirectory

_NUM_THRESHOLDS = 127


def write_test_evaluation(run: RunDirectory) -> None:
    """Writes the recorded evaluation of the test split into the run's TensorBoard folder.

    The scores as scalars, hyper-parameters, an image of the confusion matrices, and a PR curve for
    each genre and for all decisions pooled.
    """
    split = schema.TEST
    record = SplitRecord.load(result_files.of_own_data(run, split).predictions)
    genres = run.load_dataset_info()[0].genres
    rules = SituationRules.load(run.path, genres)
    answers = rules.answers(record.logits, record.has_poster, record.num_tokens > 0)
    probabilities = answers.probabilities
    labels = record.labels.astype(bool)
    writer = metric_writers.SummaryWriter(os.fspath(run.tensorboard))
    writer.write_scalars(record.step, _scalars(run, split))
    writer.write_hparams(hyper_parameters(run.load_config()))
    writer.write_images(
        record.step,
        {f"{split}/confusion": _confusion_image(genres, labels, answers.predicted)[None]},
    )
    curves = {f"{split}/all genres": _pr_curve(labels.ravel(), probabilities.ravel())}
    for g, genre in enumerate(genres):
        curves[f"{split}/{genre}"] = _pr_curve(labels[:, g], probabilities[:, g])
    writer.write_summaries(
        record.step,
        {f"{name}/pr_curves": curve for name, curve in curves.items()},
        {
            f"{name}/pr_curves": pr_metadata.create_summary_metadata(
                display_name=name, description="", num_thresholds=_NUM_THRESHOLDS
            ).SerializeToString()
            for name in curves
        },
    )
    writer.flush()
    writer.close()


def _scalars(run: RunDirectory, split: str) -> dict[str, float]:
    """Returns what models are compared by, each F1 at its fitted thresholds, and the log loss."""
    evaluation = RunEvaluation.load(result_files.of_own_data(run, split).evaluation)
    scores = dict(zip(tables.COMPARED, tables.compared(evaluation), strict=True))
    found = {name.replace(" ", "/"): score.value for name, score in scores.items()}
    found["log_loss"] = evaluation.log_loss
    return {f"{split}/{name}": value for name, value in found.items() if value is not None}


def hyper_parameters(config: Config) -> dict[str, Any]:
    """Returns the settings under dotted names, as numbers, texts and booleans."""
    return dict(_flatten("", dataclasses.asdict(config)))


def _flatten(prefix: str, fields: dict[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if isinstance(value, dict):
            flat += _flatten(f"{prefix}{name}.", value)
        else:
            plain = " ".join(map(str, value)) if isinstance(value, tuple | list) else value
            flat.append((f"{prefix}{name}", plain))
    return flat


def _confusion_image(
    genres: Sequence[str], labels: np.ndarray, predicted: np.ndarray
) -> np.ndarray:
    """Returns <uint8>[height, width, 3], the report's figure of the confusion matrices."""
    from mmgenre.report import figures_per_genre

    drawn = most_common(labels)
    names = [genres[g] for g in drawn]
    png = figures_per_genre.confusion_matrices(names, labels[:, drawn], predicted[:, drawn]).png
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _pr_curve(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns <float32>[6, thresholds] as TensorBoard's plugin reads it: TP, FP, TN, FN, P, R."""
    buckets = np.floor(probabilities * (_NUM_THRESHOLDS - 1)).astype(np.int64)
    counts = [
        np.bincount(buckets[chosen], minlength=_NUM_THRESHOLDS)[::-1].cumsum()[::-1]
        for chosen in (labels, ~labels)
    ]
    tp, fp = (np.asarray(count, np.float64) for count in counts)
    precision, recall = tp / np.maximum(tp + fp, 1e-7), tp / max(tp[0], 1e-7)
    return np.stack([tp, fp, fp[0] - fp, tp[0] - tp, precision, recall]).astype(np.float32)
