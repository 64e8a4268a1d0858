"""Rankings and averages are those of scikit-learn, ties and degenerate columns included."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from mmgenre.evaluation import curves, metrics


@pytest.fixture(params=[0, 1, 2])
def movies(request) -> tuple[np.ndarray, np.ndarray]:
    """Labels <bool>[97, 18] and scores <float32>[97, 18], rounded so that many tie."""
    generator = np.random.default_rng(request.param)
    labels = generator.random((97, 18)) < np.linspace(0.1, 0.9, 18)
    scores = (0.3 * labels + generator.random((97, 18))).round(request.param + 1)
    return labels, (scores / 2).astype(np.float32)


def test_each_column(movies):
    labels, scores = movies
    areas, precisions = curves.rank(labels, scores)
    for column in range(18):
        one, other = labels[:, column], scores[:, column]
        assert areas[column] == pytest.approx(roc_auc_score(one, other), abs=1e-12)
        expected = average_precision_score(one, other)
        assert precisions[column] == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_ranked():
    labels = np.array([[False, True, False], [False, True, True]])
    areas, precisions = curves.rank(labels, np.array([[0.1, 0.2, 0.5], [0.3, 0.4, 0.5]]))
    np.testing.assert_array_equal(areas, [np.nan, np.nan, 0.5])
    np.testing.assert_array_equal(precisions, [np.nan, 1, 0.5])


def test_every_average(movies):
    labels, scores = movies
    found = metrics.evaluate_probabilities(labels, scores, 0.4)
    for average in ("micro", "macro", "weighted", "samples"):
        expected = precision_recall_fscore_support(
            labels, scores >= np.float64(0.4), average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert getattr(getattr(found, name), average) == pytest.approx(value, abs=1e-12)
        some = labels.any(axis=1) if average == "samples" else slice(None)
        precision = average_precision_score(labels[some], scores[some], average=average)
        assert getattr(found.average_precision, average) == pytest.approx(precision, abs=1e-12)
        if average != "samples":
            area = roc_auc_score(labels, scores, average=average)
            assert getattr(found.roc_auc, average) == pytest.approx(area, abs=1e-12)
