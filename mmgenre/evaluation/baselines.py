"""Baselines that a model must beat, on the same splits with the same metrics.

Predicting nothing, every genre, or the most common genres; logistic regression on TF-IDF, on coarse
poster features, and on both; an ensemble of linear models (`mmgenre.evaluation.linear_pile`); of a
data set with encoders' vectors also logistic regression on these. All are fitted on the train
split; their decision rules are fitted on validation, as a run's are.
"""

import dataclasses
from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset
from mmgenre.decisions.calibration import fit_decision_rule
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.evaluation import confidence, fitted_baselines, metrics, operating_points
from mmgenre.evaluation.baseline_models import Movies
from mmgenre.evaluation.fitted_baselines import BOTH_VECTORS as BOTH_VECTORS
from mmgenre.evaluation.fitted_baselines import LINEAR_PILE as LINEAR_PILE
from mmgenre.evaluation.fitted_baselines import OVERVIEW_VECTORS as OVERVIEW_VECTORS
from mmgenre.evaluation.fitted_baselines import POSTER_FEATURES as POSTER_FEATURES
from mmgenre.evaluation.fitted_baselines import POSTER_VECTORS as POSTER_VECTORS
from mmgenre.evaluation.fitted_baselines import TFIDF as TFIDF
from mmgenre.evaluation.fitted_baselines import TFIDF_AND_POSTER as TFIDF_AND_POSTER
from mmgenre.evaluation.fitted_baselines import features as features
from mmgenre.evaluation.fitted_baselines import movies_of as movies_of
from mmgenre.evaluation.fitted_baselines import read_movies as read_movies
from mmgenre.evaluation.results import BaselineEvaluation, Baselines, Evaluation, NotFitted

NOTHING: Final = "nothing"
EVERY_GENRE: Final = "every_genre"
MOST_COMMON: Final = "most_common_genres"
_TITLES: Final = {
    NOTHING: "predict nothing",
    EVERY_GENRE: "predict every genre",
    MOST_COMMON: "most common genres",
    TFIDF: "TF-IDF + LR",
    POSTER_FEATURES: "poster features + LR",
    TFIDF_AND_POSTER: "TF-IDF and poster + LR",
    LINEAR_PILE: "ensemble of linear models",
    OVERVIEW_VECTORS: "overview vectors + LR",
    POSTER_VECTORS: "poster vectors + LR",
    BOTH_VECTORS: "both vectors + LR",
}

_SURE: Final = 30.0


@dataclasses.dataclass(frozen=True)
class ModelBeside:
    """A model's metrics in resamples of all movies, and of those that have a poster."""

    of_all: confidence.Resampled
    with_poster: confidence.Resampled | None


def evaluate_baselines(
    dataset: PreparedDataset,
    split: str,
    movies: Movies,
    trained_on: DatasetInfo,
    home: PreparedDataset | NotFitted,
    beside: ModelBeside | None = None,
) -> Baselines:
    """Fits the baselines on a train split and evaluates them on other movies.

    Args:
      dataset: what the movies to evaluate on are of.
      split: which of its splits.
      movies: those of that split.
      trained_on: what the network beside them is trained on.
      home: the same data set, or why it cannot be read; then only trivial baselines are left.
      beside: the network's answers for the same movies, to compare with in pairs.

    Returns:
      By name, in the order of tables, the evaluation without "per_genre", or why there is none.
      The log loss of `MOST_COMMON` is that of the genres' frequencies in the train split.

    Raises:
      UserError: a shard is missing or damaged.
    """
    rule = DecisionRule.default(trained_on.genres)
    fitted = fitted_baselines.names(trained_on, dataset.info)
    surely = np.full(movies.labels.shape, _SURE)
    baselines: Baselines = {
        NOTHING: _evaluate(movies, -surely, rule, beside),
        EVERY_GENRE: _evaluate(movies, surely, rule, beside),
    }
    if schema.TRAIN not in trained_on.splits:
        return baselines | dict.fromkeys((MOST_COMMON, *fitted), NotFitted.NO_TRAIN_SPLIT)
    common = np.tile(most_common_logits(trained_on), (len(movies.labels), 1))
    baselines[MOST_COMMON] = _with_loss_of_frequencies(
        _evaluate(movies, common, rule, beside), movies, trained_on
    )
    if isinstance(home, NotFitted):
        return baselines | dict.fromkeys(fitted, home)
    return baselines | _evaluate_fitted(dataset, split, home, movies, beside)


def titled(found: Baselines) -> dict[str, Evaluation | NotFitted]:
    """Returns baselines by their names for readers: the same on pages, in tables and in verdicts.

    LR in them is logistic regression. A baseline of another version keeps its name.
    """
    return {_TITLES.get(name, name): each for name, each in found.items()}


def _evaluate(
    movies: Movies, logits: np.ndarray, rule: DecisionRule, beside: ModelBeside | None
) -> BaselineEvaluation:
    def evaluate(chosen: np.ndarray | slice, model: confidence.Resampled | None) -> Evaluation:
        labels, values = movies.labels[chosen], logits[chosen]
        answers = rule.answers(values)
        resampled = operating_points.resample_answers(labels, values, answers)
        found = operating_points.evaluate_answers(labels, values, answers, rule.names, resampled)
        pairs = {} if model is None else confidence.paired_intervals(model, resampled)
        return dataclasses.replace(found, per_genre={}, model_minus_this=pairs)

    seen = movies.has_poster
    of_all, of_seen = (beside.of_all, beside.with_poster) if beside else (None, None)
    with_poster = evaluate(seen, of_seen) if seen.any() else None
    return BaselineEvaluation(**vars(evaluate(slice(None), of_all)), with_poster=with_poster)


def _evaluate_fitted(
    dataset: PreparedDataset,
    split: str,
    home: PreparedDataset,
    movies: Movies,
    beside: ModelBeside | None,
) -> Baselines:
    """Evaluates the fitted baselines, by decision rules fitted on validation."""
    answers = fitted_baselines.answer(home, movies, dataset, split)
    rules = dict.fromkeys(answers.logits, DecisionRule.default(home.info.genres))
    labels = answers.validation_labels
    if labels is not None:
        for name, logits in answers.validation.items():
            rules[name] = fit_decision_rule(logits, labels, schema.VALIDATION, home.info.genres)
    return {
        name: answers.missing[name]
        if name in answers.missing
        else _evaluate(movies, answers.logits[name], rules[name], beside)
        for name in fitted_baselines.names(home.info, dataset.info)
    }


def _with_loss_of_frequencies(
    found: BaselineEvaluation, movies: Movies, info: DatasetInfo
) -> BaselineEvaluation:
    """Returns it with the log loss of answering each genre's frequency, for every movie."""
    logits = np.broadcast_to(frequency_logits(info), movies.labels.shape)
    seen, with_poster = movies.has_poster, found.with_poster
    if with_poster is not None:
        loss = metrics.log_loss(logits[seen], movies.labels[seen])
        with_poster = dataclasses.replace(with_poster, log_loss=loss)
    loss = metrics.log_loss(logits, movies.labels)
    return dataclasses.replace(found, log_loss=loss, with_poster=with_poster)


def frequency_logits(info: DatasetInfo) -> np.ndarray:
    """Returns <float64>[genres]: the log-odds of each genre in the train split.

    One movie in two is added that has the genre, and one that has not, so that they are finite.
    """
    train = info.splits[schema.TRAIN]
    counts = np.asarray(train.genre_counts, np.float64) + 0.5
    odds: np.ndarray = np.log(counts / (train.num_movies + 1 - counts))
    return odds


def most_common_logits(info: DatasetInfo) -> np.ndarray:
    """Returns <float64>[genres]: scores in the order of the genres' frequency in the train split.

    As many genres as a movie has on average have 0 or more, so these are predicted for all.
    """
    train = info.splits[schema.TRAIN]
    frequencies = np.asarray(train.genre_counts, np.float64) / train.num_movies
    num_predicted = max(1, round(float(frequencies.sum())))
    weakest = np.sort(frequencies)[-num_predicted]
    scores: np.ndarray = 10 * (frequencies - weakest)
    return scores
