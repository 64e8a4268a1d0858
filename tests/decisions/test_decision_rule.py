"""Scales, biases and thresholds: what turns logits into genres, for every command alike."""

import json

import numpy as np
import pytest

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import FILE_NAME, SituationRules
from mmgenre.errors import UserError

GENRES = schema.GENRES


def rule(low: float, high: float) -> DecisionRule:
    return DecisionRule(
        thresholds=tuple(np.linspace(low, high, len(GENRES))),
        micro_thresholds=(low,) * len(GENRES),
        scales=tuple(np.linspace(0.5, 2, len(GENRES))),
        biases=tuple(np.linspace(-1, 1, len(GENRES))),
        chosen_on="validation",
    )


def test_without_a_file_it_is_the_sigmoid_and_a_half(tmp_path):
    found = SituationRules.load(tmp_path, GENRES).of(has_poster=True, has_overview=False)
    logits = np.linspace(-800, 800, len(GENRES)).astype(np.float32)
    probabilities = found.probabilities(logits)
    assert probabilities[0] == 0 and probabilities[-1] == 1
    np.testing.assert_array_equal(found.decide(probabilities), logits >= 0)
    assert found.decide(np.full(len(GENRES), 0.5, np.float32)).all()


def test_saved_and_loaded(tmp_path):
    rules = SituationRules(rule(0.1, 0.9), rule(0.2, 0.8), rule(0.3, 0.7))
    rules.save(tmp_path)
    assert SituationRules.load(tmp_path, GENRES) == rules
    # By hand: a logit of 1, twice, and 1 more.
    found = rules.both.probabilities(np.ones(18, np.float32))
    assert found[17] == pytest.approx(1 / (1 + np.exp(-3)))


def test_each_movie_is_decided_on_by_the_rule_for_what_there_is_of_it():
    rules = SituationRules(rule(0.1, 0.9), rule(0.2, 0.8), rule(0.3, 0.7))
    logits = np.random.default_rng(0).normal(size=(4, len(GENRES)))
    has = {"has_poster": [True, True, False, False], "has_overview": [True, False, True, False]}
    answers = rules.answers(logits, *(np.asarray(values) for values in has.values()))
    for movie, expected in enumerate(
        (rules.both, rules.poster_alone, rules.overview_alone, rules.overview_alone)
    ):
        assert rules.of(**{name: values[movie] for name, values in has.items()}) is expected
        probabilities = expected.probabilities(logits[movie])
        np.testing.assert_array_equal(answers.probabilities[movie], probabilities)
        np.testing.assert_array_equal(answers.predicted[movie], expected.decide(probabilities))
        np.testing.assert_array_equal(answers.thresholds[movie], expected.thresholds)


def test_a_file_with_temperatures_is_read_as_it_was_meant(tmp_path):
    """As the first programs wrote them: one rule for all movies."""
    per_genre = {genre: {"threshold": 0.3, "temperature": 2.0} for genre in GENRES}
    fields = {"chosen_on": "validation", "global_threshold": 0.4, "genres": per_genre}
    for version in ({}, {"format_version": 1}):
        (tmp_path / FILE_NAME).write_text(json.dumps(version | fields))
        rules = SituationRules.load(tmp_path, GENRES)
        found = rules.poster_alone
        assert found == rules.both and found.chosen_on == "validation"
        assert found.thresholds == (0.3,) * 18 and found.micro_thresholds == (0.4,) * 18
        probability = found.probabilities(np.ones(18, np.float32))[0]
        assert probability == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_the_surest_genre_comes_first():
    probabilities = np.zeros(len(GENRES))
    probabilities[[3, 5, 7]] = (0.6, 0.9, 0.4)
    assert DecisionRule().genres(probabilities) == ["Documentary", "Comedy"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        '{"chosen_on": "", "genres": {"Action": 1}}',
        '{"format_version": 2, "chosen_on": "", "both": {}}',
    ],
)
def test_a_damaged_file_is_an_error(text, tmp_path):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=r"thresholds.json is damaged"):
        SituationRules.load(tmp_path, GENRES)


def test_a_newer_file_is_left_to_a_newer_program(tmp_path):
    (tmp_path / FILE_NAME).write_text('{"format_version": 3}')
    with pytest.raises(UserError, match="newer mmgenre"):
        SituationRules.load(tmp_path, GENRES)
