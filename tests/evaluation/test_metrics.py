"""Metrics: tables worked by hand, degenerate labels included."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from mmgenre import schema
from mmgenre.evaluation import metrics
from mmgenre.training import losses

NUM = schema.NUM_GENRES


def movies(*rows: dict[str, float]) -> np.ndarray:
    """<float32>[movies, 18] from the non-zero genres of each movie."""
    table = np.zeros((len(rows), NUM), np.float32)
    for row, genres in zip(table, rows, strict=True):
        for genre, value in genres.items():
            row[schema.GENRES.index(genre)] = value
    return table


LABELS = movies({"Drama": 1}, {"Drama": 1, "War": 1}, {"Comedy": 1})
PROBABILITIES = movies(
    {"Drama": 0.9, "War": 0.6}, {"Drama": 0.4, "War": 0.7}, {"Comedy": 0.5, "Drama": 0.2}
)


@pytest.fixture(scope="module")
def report():
    return metrics.evaluate_probabilities(LABELS, PROBABILITIES)


def test_decisions_by_hand(report):
    # Predicted: (Drama, War), (War), (Comedy: 0.5 counts). Wrong: War of the first (false positive)
    # and Drama of the second (false negative), 2 of 54 decisions.
    assert report.num_movies == 3
    assert report.accuracy == pytest.approx(52 / 54)
    assert report.hamming_loss == pytest.approx(2 / 54)
    assert report.exact_match == pytest.approx(1 / 3)
    assert report.precision.micro == pytest.approx(3 / 4)
    assert report.recall.micro == pytest.approx(3 / 4)
    assert report.f1.micro == pytest.approx(3 / 4)
    # F1 of Drama 2/3, War 2/3, Comedy 1; no movie is of the other 15 genres.
    assert report.f1.macro == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert report.f1.weighted == pytest.approx((2 * 2 / 3 + 2 / 3 + 1) / 4)
    assert report.f1.samples == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert vars(report.genres_per_movie) == pytest.approx({"labels": 4 / 3, "predictions": 4 / 3})


def test_ranking_by_hand(report):
    # Genres that no movie has cannot be ranked; they are no part of the mean. Drama is ranked
    # 0.9, 0.4 | 0.2, War 0.7 | 0.6, Comedy 0.5 | 0: all perfect.
    assert report.roc_auc.macro == 1.0
    assert report.average_precision.macro == 1.0
    # Pooled: 0.9+ 0.7+ 0.6- 0.5+ 0.4+ 0.2-: precision at the positives 1, 1, 3/4, 4/5.
    assert report.average_precision.micro == pytest.approx((1 + 1 + 3 / 4 + 4 / 5) / 4)
    # 4 positives and 50 negatives; two pairs are the wrong way round (0.6 over 0.5 and 0.4).
    assert report.roc_auc.micro == pytest.approx(1 - 2 / 200)


def test_per_genre_by_hand(report):
    drama = report.per_genre["Drama"]
    assert drama.confusion == ((1, 0), (1, 1))
    assert (drama.support, drama.predicted) == (2, 1)
    assert (drama.precision, drama.recall) == (1.0, 0.5)
    western = report.per_genre["Western"]
    assert western.confusion == ((3, 0), (0, 0))
    assert (western.precision, western.recall, western.f1) == (None, None, None)
    assert western.accuracy == 1.0
    assert western.roc_auc is None
    assert western.average_precision is None


def test_thresholds_by_genre():
    thresholds = np.full(NUM, 0.5)
    thresholds[schema.GENRES.index("Drama")] = 0.4
    thresholds[schema.GENRES.index("War")] = 0.65
    report = metrics.evaluate_probabilities(LABELS, PROBABILITIES, thresholds)
    assert report.exact_match == 1.0


def test_nothing_to_rank():
    report = metrics.evaluate_probabilities(np.zeros((2, NUM)), np.full((2, NUM), 0.1))
    assert report.accuracy == 1.0
    assert vars(report.roc_auc) == {"micro": None, "macro": None, "weighted": None}
    assert report.average_precision.samples is None
    assert (report.f1.micro, report.f1.macro) == (0.0, None)


def test_a_genre_without_movies_is_no_part_of_macro_f1():
    predictions = (PROBABILITIES >= 0.5).copy()
    before = metrics.evaluate_decisions(LABELS > 0, predictions)
    predictions[:, schema.GENRES.index("Western")] = True  # Wrong, and counted in micro F1.
    after = metrics.evaluate_decisions(LABELS > 0, predictions)
    assert after.f1.macro == before.f1.macro
    assert after.f1.micro < before.f1.micro
    assert metrics.f1_by_genre(LABELS > 0, predictions)[schema.GENRES.index("Western")] is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_must_be_finite(bad):
    probabilities = PROBABILITIES.copy()
    probabilities[0, 0] = bad
    with pytest.raises(ValueError, match="not finite"):
        metrics.evaluate_probabilities(LABELS, probabilities)


def test_counts_on_the_device_agree_with_the_host_and_leave_padding_out():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(6, NUM)).astype(np.float32)
    labels = (generator.random((6, NUM)) < 0.2).astype(np.uint8)
    mask = np.array([1, 1, 1, 1, 0, 0], np.float32)
    batch = {schema.LABELS: jnp.asarray(labels), schema.MASK: jnp.asarray(mask)}
    counts = losses.batch_counts(jnp.asarray(logits), batch)
    summary = losses.summarize_counts({name: float(value) for name, value in counts.items()})
    report = metrics.evaluate_probabilities(labels[:4], expit(logits[:4]))
    assert summary["accuracy"] == pytest.approx(report.accuracy)
    assert summary["f1"] == pytest.approx(report.f1.micro)
    assert summary["loss"] == pytest.approx(metrics.log_loss(logits[:4], labels[:4]), rel=1e-5)


def test_log_loss_by_hand_and_at_extremes():
    assert metrics.log_loss(np.zeros((1, 1)), np.ones((1, 1))) == pytest.approx(np.log(2))
    assert metrics.log_loss(np.array([[1e4]]), np.array([[0]])) == pytest.approx(1e4)
