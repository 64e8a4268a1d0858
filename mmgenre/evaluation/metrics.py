"""Multi-label classification metrics, computed once, on the host, from all the probabilities.

Averages: "micro" pools all decisions, "macro" is the mean over genres, "weighted" the mean weighted
by the genres' frequency, "samples" the mean over movies. A ratio without a denominator is 0 (as in
scikit-learn with zero_division=0), except for ranking metrics: a genre that all or none of the
movies have cannot be ranked, is left out of the means and reported as null.
"""

from typing import Any

import numpy as np

from mmgenre import schema

THRESHOLD = 0.5
"""A genre is predicted when its probability is at least this, unless told otherwise."""


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean sigmoid cross-entropy of logits and 0/1 labels, of the same shape."""
    logits = logits.astype(np.float64)
    return float(np.mean(np.logaddexp(0, logits) - logits * labels))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, of any shape, without overflow."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64))).astype(np.float32)


def evaluate_probabilities(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: float | np.ndarray = THRESHOLD
) -> dict[str, Any]:
    """Computes everything that a run reports.

    Args:
      labels: [movies, 18], 0 or 1.
      probabilities: <float>[movies, 18].
      thresholds: the probability from which a genre is predicted: one, or <float>[18].

    Returns:
      "num_movies", "accuracy" (per label), "exact_match", "hamming_loss"; "precision", "recall" and
      "f1" by "micro", "macro", "weighted", "samples"; "roc_auc" by "micro", "macro", "weighted";
      "average_precision" by these and "samples"; "genres_per_movie" of "labels" and "predictions";
      "per_genre": for each genre its "support", "predicted", "threshold", "accuracy", "precision",
      "recall", "f1", "roc_auc", "average_precision" and "confusion" [[tn, fp], [fn, tp]].

    Raises:
      ValueError: shapes differ, there is no movie, or a probability is not finite.
    """
    labels = np.asarray(labels).astype(bool)
    if labels.shape != probabilities.shape or labels.ndim != 2 or not len(labels):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} differ")
    if not np.isfinite(probabilities).all():
        raise ValueError("there are probabilities that are not finite")
    thresholds = np.broadcast_to(np.asarray(thresholds, np.float64), labels.shape[1:])
    predictions = probabilities >= thresholds
    report: dict[str, Any] = {
        "num_movies": len(labels),
        **evaluate_decisions(labels, predictions),
        **_ranked(labels, probabilities),
        "genres_per_movie": {
            "labels": float(labels.sum(1).mean()),
            "predictions": float(predictions.sum(1).mean()),
        },
    }
    report["per_genre"] = _per_genre(labels, predictions, probabilities, thresholds)
    return report


def evaluate_decisions(labels: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
    """Returns what depends on the thresholds alone, of <bool>[movies, 18] each.

    "accuracy", "exact_match", "hamming_loss", "precision", "recall" and "f1", as
    `evaluate_probabilities`, without ranking anything.
    """
    return {
        "accuracy": float((predictions == labels).mean()),
        "exact_match": float((predictions == labels).all(axis=1).mean()),
        "hamming_loss": float((predictions != labels).mean()),
        **_thresholded(labels, predictions),
    }


def _thresholded(labels: np.ndarray, predictions: np.ndarray) -> dict[str, dict[str, float]]:
    from sklearn.metrics import precision_recall_fscore_support

    averages: dict[str, dict[str, float]] = {"precision": {}, "recall": {}, "f1": {}}
    for average in ("micro", "macro", "weighted", "samples"):
        values = precision_recall_fscore_support(
            labels, predictions, average=average, zero_division=0
        )
        for name, value in zip(averages, values, strict=False):
            averages[name][average] = float(value)
    return averages


def _ranked(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, dict[str, float | None]]:
    from sklearn.metrics import average_precision_score

    per_genre = [rank_genre(labels[:, g], probabilities[:, g]) for g in range(labels.shape[1])]
    support = labels.sum(0)
    pooled = rank_genre(labels.ravel(), probabilities.ravel())
    report: dict[str, dict[str, float | None]] = {}
    for metric in ("roc_auc", "average_precision"):
        ranked = [g for g, values in enumerate(per_genre) if values[metric] is not None]
        values = np.asarray([per_genre[g][metric] for g in ranked], np.float64)
        report[metric] = {
            "micro": pooled[metric],
            "macro": float(values.mean()) if ranked else None,
            "weighted": float(np.average(values, weights=support[ranked])) if ranked else None,
        }
    movies = labels.any(axis=1)
    report["average_precision"]["samples"] = (
        float(average_precision_score(labels[movies], probabilities[movies], average="samples"))
        if movies.any()
        else None
    )
    return report


def rank_genre(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Returns "roc_auc" and "average_precision" of one genre, both null if it cannot be ranked."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if labels.all() or not labels.any():
        return {"roc_auc": None, "average_precision": None}
    return {
        "roc_auc": float(roc_auc_score(labels, probabilities)),
        "average_precision": float(average_precision_score(labels, probabilities)),
    }


def _per_genre(
    labels: np.ndarray, predictions: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray
) -> dict[str, dict[str, Any]]:
    report = {}
    for g, genre in enumerate(schema.GENRES):
        actual, predicted = labels[:, g], predictions[:, g]
        true_positives = int((actual & predicted).sum())
        false_positives = int((~actual & predicted).sum())
        false_negatives = int((actual & ~predicted).sum())
        true_negatives = len(labels) - true_positives - false_positives - false_negatives
        report[genre] = {
            "support": int(actual.sum()),
            "predicted": int(predicted.sum()),
            "threshold": float(thresholds[g]),
            "accuracy": (true_positives + true_negatives) / len(labels),
            "precision": true_positives / max(int(predicted.sum()), 1),
            "recall": true_positives / max(int(actual.sum()), 1),
            "f1": 2 * true_positives / max(int(predicted.sum()) + int(actual.sum()), 1),
            **rank_genre(actual, probabilities[:, g]),
            "confusion": [[true_negatives, false_positives], [false_negatives, true_positives]],
        }
    return report
