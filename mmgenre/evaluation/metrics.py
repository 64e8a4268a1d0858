"""Multi-label classification metrics, computed once, on the host, from all the probabilities.

Averages: "micro" pools all decisions, "macro" is the mean over genres, "weighted" the mean weighted
by the genres' frequency, "samples" the mean over movies. A ratio without a denominator is 0 (as in
scikit-learn with zero_division=0). What a genre that no movie has is worth cannot be known: it is
left out of the means and reported as None; so is, in ranking metrics, a genre that all movies have.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmgenre import schema
from mmgenre.evaluation import curves
from mmgenre.evaluation.results import (
    AllAverages,
    Averages,
    DecisionScores,
    GenreScores,
    GenresPerMovie,
    Scores,
)

THRESHOLD = 0.5
"""A genre is predicted when its probability is at least this, unless told otherwise."""


class Ranking(NamedTuple):
    """How well the movies of a genre are ranked before the others; None where it is undefined."""

    roc_auc: float | None
    average_precision: float | None


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean sigmoid cross-entropy of logits and 0/1 labels, of the same shape."""
    logits = logits.astype(np.float64)
    return float(np.mean(np.logaddexp(0, logits) - logits * labels))


def evaluate_probabilities(
    labels: np.ndarray,
    probabilities: np.ndarray,
    thresholds: float | np.ndarray = THRESHOLD,
    genres: Sequence[str] = schema.GENRES,
    ranked_by: np.ndarray | None = None,
) -> Scores:
    """Computes everything that a run reports.

    Args:
      labels: [movies, genres], 0 or 1.
      probabilities: <float>[movies, genres].
      thresholds: the probability from which a genre is predicted: one, one for each genre, or
        <float>[movies, genres], of which the median stands in the result.
      genres: their names.
      ranked_by: <float>[movies, genres], what movies are ranked by; the probabilities if None.

    Raises:
      ValueError: shapes differ, there is no movie, or a probability is not finite.
    """
    labels = np.asarray(labels).astype(bool)
    if labels.shape != probabilities.shape or labels.ndim != 2 or not len(labels):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} differ")
    if not np.isfinite(probabilities).all():
        raise ValueError("there are probabilities that are not finite")
    thresholds = np.broadcast_to(np.asarray(thresholds, np.float64), labels.shape)
    predictions = probabilities >= thresholds
    decisions, usual = evaluate_decisions(labels, predictions), np.median(thresholds, axis=0)
    ranked = probabilities if ranked_by is None else ranked_by
    rankings = rank_genres(labels, ranked)
    roc_auc, average_precision = _average_rankings(labels, ranked, rankings)
    return Scores(
        **vars(decisions),
        num_movies=len(labels),
        hamming_loss=float((predictions != labels).mean()),
        roc_auc=roc_auc,
        average_precision=average_precision,
        genres_per_movie=GenresPerMovie(
            labels=float(labels.sum(1).mean()), predictions=float(predictions.sum(1).mean())
        ),
        per_genre={
            genre: _evaluate_genre(labels[:, g], predictions[:, g], float(usual[g]), ranks)
            for g, (genre, ranks) in enumerate(zip(genres, rankings, strict=True))
        },
    )


def evaluate_decisions(labels: np.ndarray, predictions: np.ndarray) -> DecisionScores:
    """Computes what depends on the thresholds alone, of <bool>[movies, genres] each."""
    hits, predicted, actual = labels & predictions, predictions, labels
    by_genre = _ratios(hits.sum(axis=0), predicted.sum(axis=0), actual.sum(axis=0))
    by_movie = _ratios(hits.sum(axis=1), predicted.sum(axis=1), actual.sum(axis=1))
    pooled = _ratios(hits.sum(), predicted.sum(), actual.sum())
    support = actual.sum(axis=0)
    known = support > 0
    weights = support / max(support.sum(), 1)
    precision, recall, f1 = (
        AllAverages(
            micro=float(micro),
            macro=float(genres[known].mean()) if known.any() else None,
            weighted=float(genres @ weights) if known.any() else None,
            samples=float(movies.mean()),
        )
        for micro, genres, movies in zip(pooled, by_genre, by_movie, strict=True)
    )
    return DecisionScores(
        accuracy=float((predictions == labels).mean()),
        exact_match=float((predictions == labels).all(axis=1).mean()),
        precision=precision,
        recall=recall,
        f1=f1,
    )


def f1_by_genre(labels: np.ndarray, predictions: np.ndarray) -> tuple[float | None, ...]:
    """Returns the F1 of each genre of decisions, of <bool>[movies, genres] each; see above."""
    hits, support = (labels & predictions).sum(axis=0), labels.sum(axis=0)
    f1 = _ratios(hits, predictions.sum(axis=0), support)[2]
    return tuple(float(x) if n else None for x, n in zip(f1, support, strict=True))


def _ratios(
    hits: np.ndarray, predicted: np.ndarray, actual: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of counts; 0 where there is nothing to divide by."""
    return (
        hits / np.maximum(predicted, 1),
        hits / np.maximum(actual, 1),
        2 * hits / np.maximum(predicted + actual, 1),
    )


def rank_genre(labels: np.ndarray, probabilities: np.ndarray) -> Ranking:
    """Ranks the movies by the probability of one genre.

    Args:
      labels: <bool>[movies].
      probabilities: <float>[movies], or logits: only their order counts.
    """
    return rank_genres(labels[:, None], probabilities[:, None])[0]


def rank_genres(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranking]:
    """Ranks the movies by each genre's probability; see `rank_genre`.

    Args:
      labels: <bool>[movies, genres].
      probabilities: <float>[movies, genres].
    """
    roc_auc, precision = curves.rank(labels, probabilities)
    return [
        Ranking(None, None) if np.isnan(area) else Ranking(float(area), float(mean))
        for area, mean in zip(roc_auc, precision, strict=True)
    ]


def _average_rankings(
    labels: np.ndarray, probabilities: np.ndarray, rankings: list[Ranking]
) -> tuple[Averages, AllAverages]:
    pooled = rank_genre(labels.ravel(), probabilities.ravel())
    ranked = [g for g, ranking in enumerate(rankings) if ranking.roc_auc is not None]
    support = labels.sum(axis=0)[ranked]
    aucs, precisions = (np.asarray([rankings[g][i] for g in ranked]) for i in range(2))
    movies = labels.any(axis=1)
    samples = (
        float(curves.rank(labels[movies].T, probabilities[movies].T)[1].mean())
        if movies.any()
        else None
    )
    return (
        Averages(
            micro=pooled.roc_auc,
            macro=float(aucs.mean()) if ranked else None,
            weighted=float(np.average(aucs, weights=support)) if ranked else None,
        ),
        AllAverages(
            micro=pooled.average_precision,
            macro=float(precisions.mean()) if ranked else None,
            weighted=float(np.average(precisions, weights=support)) if ranked else None,
            samples=samples,
        ),
    )


def _evaluate_genre(
    labels: np.ndarray, predictions: np.ndarray, threshold: float, ranking: Ranking
) -> GenreScores:
    true_positives = int((labels & predictions).sum())
    false_positives = int((~labels & predictions).sum())
    false_negatives = int((labels & ~predictions).sum())
    true_negatives = len(labels) - true_positives - false_positives - false_negatives
    support, predicted = true_positives + false_negatives, true_positives + false_positives
    return GenreScores(
        support=support,
        predicted=predicted,
        threshold=threshold,
        accuracy=(true_positives + true_negatives) / len(labels),
        precision=true_positives / max(predicted, 1) if support else None,
        recall=true_positives / support if support else None,
        f1=2 * true_positives / (predicted + support) if support else None,
        roc_auc=ranking.roc_auc,
        average_precision=ranking.average_precision,
        confusion=((true_negatives, false_positives), (false_negatives, true_positives)),
    )
