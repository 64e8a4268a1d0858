"""Temperatures and thresholds: what turns logits into genres, for every command alike."""

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.evaluation.decision_rule import FILE_NAME, DecisionRule


def test_without_a_file_it_is_the_sigmoid_and_a_half(tmp_path):
    rule = DecisionRule.load(tmp_path, schema.GENRES)
    logits = np.linspace(-800, 800, schema.NUM_GENRES).astype(np.float32)
    probabilities = rule.probabilities(logits)
    assert probabilities[0] == 0 and probabilities[-1] == 1
    np.testing.assert_array_equal(rule.decide(probabilities), logits >= 0)
    assert rule.decide(np.full(schema.NUM_GENRES, 0.5, np.float32)).all()


def test_saved_and_loaded(tmp_path):
    rule = DecisionRule(
        thresholds=tuple(np.linspace(0.1, 0.9, schema.NUM_GENRES)),
        temperatures=tuple(np.linspace(0.5, 2, schema.NUM_GENRES)),
        chosen_on="validation",
    )
    rule.save(tmp_path)
    assert DecisionRule.load(tmp_path, schema.GENRES) == rule
    # By hand: a logit of 1 at temperature 2 is one of a half.
    assert rule.probabilities(np.ones(18, np.float32))[17] == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_the_surest_genre_comes_first():
    probabilities = np.zeros(schema.NUM_GENRES)
    probabilities[[3, 5, 7]] = (0.6, 0.9, 0.4)
    assert DecisionRule().genres(probabilities) == ["Documentary", "Comedy"]


@pytest.mark.parametrize("text", ["{", "{}", '{"chosen_on": "", "genres": {"Action": 1}}'])
def test_a_damaged_file_is_an_error(text, tmp_path):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=r"thresholds.json is damaged"):
        DecisionRule.load(tmp_path, schema.GENRES)
