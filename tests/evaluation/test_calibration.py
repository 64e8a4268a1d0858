"""Fitting temperatures and thresholds on a validation split."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mmgenre import schema
from mmgenre.evaluation.calibration import (
    best_f1_threshold,
    expected_f1_threshold,
    fit_decision_rule,
    fit_temperature,
)


def draw(num_movies: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times too large, and labels drawn from the true ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1.5, 1.5, (num_movies, schema.NUM_GENRES))
    labels = generator.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return (scale * logits).astype(np.float32), labels


def test_the_temperature_undoes_overconfidence():
    logits, labels = draw(20_000, scale=3)
    assert fit_temperature(logits[:, 0], labels[:, 0]) == pytest.approx(3, rel=0.1)
    assert fit_temperature(logits[:, 0], np.zeros(20_000, bool)) == 1


def test_the_threshold_is_the_best_of_all():
    _, labels = draw(300, 1)
    generator = np.random.default_rng(1)
    probabilities = np.round(generator.random(300) * 0.5 + 0.4 * labels[:, 0], 2)
    threshold = best_f1_threshold(labels[:, 0], probabilities)
    best = max(f1_score(labels[:, 0], probabilities >= t) for t in np.unique(probabilities))
    assert f1_score(labels[:, 0], probabilities >= threshold) == best
    assert best_f1_threshold(np.zeros(3, bool), np.arange(3.0)) == 0.5


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (3, 0), (0.5, 1)])
def test_the_expected_threshold_is_near_the_best_one_and_knows_a_bias(scale, shift):
    logits, labels = draw(20_000, scale=1)
    given = scale * (logits[:, 0] + shift)
    threshold = expected_f1_threshold(given, labels[:, 0])
    ours = f1_score(labels[:, 0], given >= threshold)
    best = max(f1_score(labels[:, 0], given >= t) for t in np.linspace(-4, 4, 200))
    assert ours > best - 0.005
    assert threshold == pytest.approx(scale * (np.log(best / (2 - best)) + shift), abs=scale * 0.1)


def test_the_expected_threshold_varies_less_than_the_one_that_is_best_for_the_labels():
    drawn = [draw(500, scale=1, seed=seed) for seed in range(30)]
    expected = [expected_f1_threshold(logits[:, 0], labels[:, 0]) for logits, labels in drawn]
    best = [best_f1_threshold(labels[:, 0], logits[:, 0]) for logits, labels in drawn]
    assert np.std(expected) < 0.5 * np.std(best)


def test_a_fitted_rule_beats_a_half_and_a_rare_genre_is_drawn_toward_the_global_threshold():
    logits, labels = draw(2_000, scale=2)
    labels[:, 3] = False
    labels[:2, 3] = True
    rule = fit_decision_rule(logits, labels, "validation", schema.GENRES)
    test_logits, test_labels = draw(2_000, scale=2, seed=1)
    predicted = rule.decide(rule.probabilities(test_logits))
    ours = f1_score(test_labels, predicted, average="micro")
    assert ours > f1_score(test_labels, test_logits >= 0, average="micro") + 0.02
    own = expected_f1_threshold(logits[:, 3], labels[:, 3]) / rule.temperatures[3]
    own = 1 / (1 + np.exp(-own))
    assert abs(rule.thresholds[3] - rule.global_threshold) < abs(own - rule.global_threshold) / 3
    assert rule.chosen_on == "validation"
