"""Fitting scales, biases and thresholds on a validation split."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mmgenre import schema
from mmgenre.decisions.calibration import (
    expected_f1_threshold,
    fit_decision_rule,
    fit_situations,
)
from mmgenre.decisions.platt import fit_platt
from mmgenre.evaluation import metrics

NAMES = schema.GENRES


def draw(
    num_movies: int, scale: float, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times too large and `shift` too high; labels from the true ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1.5, 1.5, (num_movies, len(NAMES)))
    labels = generator.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return (scale * (logits + shift)).astype(np.float32), labels


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def test_scale_and_bias_undo_overconfidence():
    logits, labels = draw(20_000, scale=3, shift=0.5)
    logits[:, 4] *= 2  # This genre's are worse.
    platt = fit_platt(logits, labels)
    np.testing.assert_allclose(np.delete(platt.scales, 4), 1 / 3, rtol=0.15)
    np.testing.assert_allclose(platt.scales[4], 1 / 6, rtol=0.15)
    np.testing.assert_allclose(platt.biases, -0.5, atol=0.15)


@pytest.mark.parametrize("num_movies", [30, 183])
def test_few_movies_share_a_fit_that_is_no_worse_than_the_logits(num_movies):
    """Of a demo corpus' size: a fit for each genre alone would follow chance."""
    test_logits, test_labels = draw(5_000, scale=1, seed=99)
    losses = []
    for seed in range(8):
        platt = fit_platt(*draw(num_movies, scale=1, seed=seed))
        losses.append(metrics.log_loss(platt.calibrate(test_logits), test_labels))
    assert np.mean(losses) < metrics.log_loss(test_logits, test_labels) * 1.02


def test_genres_that_all_or_no_movies_have_stay_finite():
    logits, labels = draw(50, scale=1)
    labels[:, 0], labels[:, 1] = True, False
    rule = fit_decision_rule(logits, labels, "validation", NAMES)
    assert np.isfinite(rule.biases).all() and np.isfinite(rule.scales).all()
    assert fit_decision_rule(logits[:0], labels[:0], "none", NAMES).chosen_on == ""
    fit_decision_rule(logits[:1], labels[:1], "one", NAMES)
    assert fit_decision_rule(logits, np.zeros_like(labels), "validation", NAMES).thresholds


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (3, 0), (0.5, 1)])
def test_the_expected_threshold_is_near_the_best_one(scale, shift):
    logits, labels = draw(20_000, scale, shift)
    probabilities = sigmoid(fit_platt(logits, labels).calibrate(logits))[:, 0]
    threshold = expected_f1_threshold(probabilities)
    ours = f1_score(labels[:, 0], probabilities >= threshold)
    best = max(f1_score(labels[:, 0], probabilities >= t) for t in np.linspace(0.02, 0.98, 200))
    assert ours > best - 0.005
    assert threshold == pytest.approx(best / 2, abs=0.03)  # Lipton et al., 2014.


def test_each_threshold_is_best_for_its_f1_and_a_rare_genre_is_drawn_toward_the_common_one():
    logits, labels = draw(3_000, scale=2)
    logits[:, ::2] -= 4  # Half of the genres are rarer than their logits say.
    labels[:, 3] = False
    labels[:2, 3] = True
    rule = fit_decision_rule(logits, labels, "validation", NAMES)
    answers = rule.answers(logits)
    micro = [
        f1_score(labels, decided, average="micro", zero_division=0)
        for decided in (answers.predicted_for_micro, answers.predicted, logits >= 0)
    ]
    assert micro[0] > micro[1] and micro[0] > micro[2] + 0.02
    own = expected_f1_threshold(answers.probabilities[:, 3])
    pooled = rule.micro_thresholds[3]
    assert abs(rule.thresholds[3] - pooled) < abs(own - pooled) / 3 + 1e-6
    assert rule.chosen_on == "validation"


def test_no_threshold_predicts_a_genre_for_nearly_every_movie():
    """A genre that half of the movies have and no logit tells: F1 is highest for all of them."""
    generator = np.random.default_rng(0)
    labels = generator.random((500, len(NAMES))) < 0.6
    logits = generator.normal(0, 0.05, labels.shape)
    answers = fit_decision_rule(logits, labels, "validation", NAMES).answers(logits)
    for decided in (answers.predicted, answers.predicted_for_micro):
        assert 0.5 < decided.mean(axis=0).max() <= 0.81


def test_the_poster_alone_is_worth_more_by_thresholds_of_its_own():
    logits, labels = draw(2_000, scale=1)
    seen = np.arange(2_000) % 3 == 0
    poster = (0.3 * logits - 3).astype(np.float32)  # Says less, and too little.
    rules = fit_situations(
        logits, poster, logits, labels, seen, np.ones(2_000, bool), "validation", NAMES
    )
    alone, wrong = (
        f1_score(labels[seen], rule.answers(poster[seen]).predicted, average="micro")
        for rule in (rules.poster_alone, rules.both)
    )
    assert alone > wrong + 0.2
    nobody = np.zeros(2_000, bool)
    rules = fit_situations(logits, poster, logits, labels, nobody, ~nobody, "validation", NAMES)
    assert rules.poster_alone.chosen_on == "" and rules.both.chosen_on == "validation"
