"""How a model stands beside its best baseline, in one sentence."""

import dataclasses

import pytest

from mmgenre.evaluation import operating_points
from mmgenre.evaluation.decision_rule import DecisionRule
from mmgenre.evaluation.results import NotFitted
from mmgenre.evaluation.verdict import against_best_baseline
from tests.evaluation.test_results import record


def scored(micro: float, interval: tuple[float, float] | None = None):
    """An evaluation with this micro F1 at thresholds per genre."""
    of = record()
    found = operating_points.evaluate_logits(of.labels, of.logits, DecisionRule())
    point = found.operating_points[operating_points.PER_GENRE]
    point = dataclasses.replace(point, f1=dataclasses.replace(point.f1, micro=micro))
    return dataclasses.replace(
        found,
        operating_points=found.operating_points | {operating_points.PER_GENRE: point},
        confidence_intervals=found.confidence_intervals | {"f1 micro": interval},
    )


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        ((0.78, 0.82), "m is ahead of words by 0.100 in micro F1 (0.800 and 0.700)"),
        ((0.69, 0.82), "m is level with words in micro F1 (0.800 and 0.700)"),
        (None, "m is ahead of words by 0.100 in micro F1 (0.800 and 0.700)"),
    ],
)
def test_verdict_names_the_best_baseline_and_heeds_the_interval(interval, sentence):
    others = {"nothing": scored(0.0), "words": scored(0.7), "posters": scored(0.3)}
    assert str(against_best_baseline("m", scored(0.8, interval), others)) == sentence


def test_a_model_behind_its_baseline_is_said_to_be():
    found = against_best_baseline("m", scored(0.5, (0.45, 0.55)), {"words": scored(0.7)})
    assert str(found) == "m is behind words by 0.200 in micro F1 (0.500 and 0.700)"


def test_baselines_that_could_not_be_fitted_do_not_count():
    others = {"words": NotFitted.NO_SHARED_WORD, "nothing": scored(0.0)}
    found = against_best_baseline("m", scored(0.5, (0.4, 0.6)), others)
    assert found is not None and found.baseline == "nothing"
    assert against_best_baseline("m", scored(0.5), {"words": NotFitted.NO_SHARED_WORD}) is None
