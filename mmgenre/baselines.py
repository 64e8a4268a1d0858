"""What a model must beat: predicting nothing or the most common genres, and linear TF-IDF."""

import logging
from typing import Any

import numpy as np

from mmgenre import metrics, schema
from mmgenre.errors import UserError
from mmgenre.input_pipeline import read_labels, read_texts
from mmgenre.prepared_dataset import DatasetInfo, PreparedDataset, open_dataset

_log = logging.getLogger(__name__)

NOTHING = "nothing"
MOST_COMMON = "most_common_genres"
TFIDF = "tfidf_logistic_regression"


def evaluate_baselines(
    dataset: PreparedDataset, split: str, trained_on: DatasetInfo, trained_path: str
) -> dict[str, dict[str, Any]]:
    """Fits the baselines on a run's train split and evaluates them on another split.

    Args:
      dataset: the data set to evaluate on.
      split: the split of it.
      trained_on: the data set that the run is trained on.
      trained_path: its folder; where it is gone, the TF-IDF baseline is left out.

    Returns:
      For each baseline by name, `metrics.evaluate_probabilities` without "per_genre".
    """
    labels = read_labels(dataset, split)
    probabilities = {
        NOTHING: np.zeros(labels.shape, np.float32),
        MOST_COMMON: np.tile(most_common_scores(trained_on), (len(labels), 1)),
    }
    try:
        train = dataset if dataset.info == trained_on else open_dataset(trained_path)
    except UserError as error:
        _log.warning("no TF-IDF baseline: the run's own data set is not there (%s)", error)
    else:
        probabilities[TFIDF] = tfidf_probabilities(train, dataset, split)
    reports = {name: metrics.evaluate_probabilities(labels, p) for name, p in probabilities.items()}
    for report in reports.values():
        del report["per_genre"]
    return reports


def most_common_scores(info: DatasetInfo) -> np.ndarray:
    """Returns <float32>[18]: scores in the order of the genres' frequency in the train split.

    As many genres as a movie has on average score 0.5 or more, so these are predicted for all.
    """
    train = info.splits[schema.TRAIN]
    frequencies = np.asarray(train.genre_counts, np.float64) / train.num_movies
    num_predicted = max(1, round(float(frequencies.sum())))
    weakest = np.sort(frequencies)[-num_predicted]
    return np.minimum(0.5 * frequencies / weakest, 1).astype(np.float32)


def tfidf_probabilities(train: PreparedDataset, dataset: PreparedDataset, split: str) -> np.ndarray:
    """Fits TF-IDF (words and pairs of words) with logistic regression for each genre.

    Returns:
      <float32>[movies, 18]: probabilities for the movies of `split`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    overviews = read_texts(train, schema.TRAIN, schema.OVERVIEW)
    labels = read_labels(train, schema.TRAIN)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(overviews)
    queries = vectorizer.transform(read_texts(dataset, split, schema.OVERVIEW))
    probabilities = np.zeros((queries.shape[0], schema.NUM_GENRES), np.float32)
    for genre in range(schema.NUM_GENRES):
        positives = int(labels[:, genre].sum())
        if positives in (0, len(labels)):  # Nothing to learn from.
            probabilities[:, genre] = float(positives > 0)
            continue
        classifier = LogisticRegression(C=10.0, solver="liblinear")
        classifier.fit(features, labels[:, genre])
        probabilities[:, genre] = classifier.predict_proba(queries)[:, 1]
    return probabilities
