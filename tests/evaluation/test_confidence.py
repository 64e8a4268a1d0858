"""Bootstrap intervals: weights instead of copies give the metrics of scikit-learn."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from mmgenre.evaluation.confidence import intervals, paired_intervals, ranking_metrics, resample

GENERATOR = np.random.default_rng(0)


def test_weights_count_as_copies_do():
    labels = GENERATOR.random(80) < 0.3
    probabilities = np.round(GENERATOR.random(80) + 0.3 * labels, 1)  # With ties.
    weights = GENERATOR.integers(0, 3, (5, 80)).astype(np.float32)
    auc, ap = ranking_metrics(labels, probabilities, np.ascontiguousarray(weights.T))
    for number, row in enumerate(weights):
        np.testing.assert_allclose(
            auc[number], roc_auc_score(labels, probabilities, sample_weight=row)
        )
        np.testing.assert_allclose(
            ap[number], average_precision_score(labels, probabilities, sample_weight=row)
        )


def test_a_resample_without_positives_has_no_ranking():
    auc, ap = ranking_metrics(
        np.array([True, False]), np.array([0.9, 0.1]), np.array([[0, 1], [2, 1]], np.float32)
    )
    assert np.isnan([auc[0], ap[0]]).all() and (auc[1], ap[1]) == (1, 1)


def test_the_interval_holds_the_value_and_narrows_with_more_movies():
    widths = []
    for num_movies in (100, 1600):
        labels = GENERATOR.random((num_movies, 4)) < 0.3
        probabilities = 0.5 * labels + GENERATOR.random(labels.shape)
        predictions = probabilities > 0.7
        drawn = resample(labels, probabilities, predictions, predictions, num_resamples=200)
        value = average_precision_score(labels, probabilities, average="macro")
        low, high = intervals(drawn)["average_precision macro"]
        assert low < value < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_pairs_are_surer_than_two_intervals():
    """A model that answers nearly as another does: little of the movies' noise is left."""
    labels = GENERATOR.random((800, 4)) < 0.3
    probabilities = 0.5 * labels + GENERATOR.random(labels.shape)
    better = probabilities + 0.05 * labels
    first, second = (
        resample(labels, each, each > 0.7, each > 0.7) for each in (better, probabilities)
    )
    for name, (low, high) in paired_intervals(first, second).items():
        alone = intervals(first)[name]
        assert 0 < low < high and high - low < (alone[1] - alone[0]) / 2, name
    assert all(ends == (0, 0) for ends in paired_intervals(first, first).values())
