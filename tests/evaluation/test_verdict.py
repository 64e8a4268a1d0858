"""How a model stands beside its best baseline, in one sentence."""

import dataclasses

import pytest

from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.evaluation import operating_points
from mmgenre.evaluation.results import FOR_MICRO_F1, NotFitted
from mmgenre.evaluation.verdict import against_best_baseline
from tests.evaluation.test_results import record


def scored(micro: float, interval: tuple[float, float] | None = None):
    """An evaluation with this micro F1 at the thresholds for it."""
    of = record()
    found = operating_points.evaluate_logits(of.labels, of.logits, DecisionRule())
    point = found.operating_points[FOR_MICRO_F1]
    point = dataclasses.replace(point, f1=dataclasses.replace(point.f1, micro=micro))
    return dataclasses.replace(
        found,
        operating_points=found.operating_points | {FOR_MICRO_F1: point},
        confidence_intervals=found.confidence_intervals | {"f1 micro": interval},
    )


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (
            (0.78, 0.82),
            "m is ahead of words by 0.100 in micro F1 "
            "(0.800 and 0.700, difference +0.080 to +0.120)",
        ),
        (
            (0.69, 0.82),
            "m is level with words in micro F1 (0.800 and 0.700, difference -0.010 to +0.120)",
        ),
        (None, "m is ahead of words by 0.100 in micro F1 (0.800 and 0.700)"),
    ],
)
def test_verdict_names_the_best_baseline_and_heeds_the_interval(interval, sentence):
    others = {"nothing": scored(0.0), "words": scored(0.7), "posters": scored(0.3)}
    assert str(against_best_baseline("m", scored(0.8, interval), others)) == sentence


def test_a_model_behind_its_baseline_is_said_to_be():
    found = against_best_baseline("m", scored(0.5, (0.45, 0.55)), {"words": scored(0.7)})
    assert str(found) == (
        "m is behind words by 0.200 in micro F1 (0.500 and 0.700, difference -0.250 to -0.150)"
    )


def test_baselines_that_could_not_be_fitted_do_not_count():
    others = {"words": NotFitted.NO_SHARED_WORD, "nothing": scored(0.0)}
    found = against_best_baseline("m", scored(0.5, (0.4, 0.6)), others)
    assert found is not None and found.baseline == "nothing"
    assert against_best_baseline("m", scored(0.5), {"words": NotFitted.NO_SHARED_WORD}) is None


def test_pairs_decide_where_there_are_any():
    words = dataclasses.replace(scored(0.79), model_minus_this={"f1 micro": (0.002, 0.02)})
    found = against_best_baseline("m", scored(0.8, (0.78, 0.82)), {"words": words})
    assert str(found) == (
        "m is ahead of words by 0.010 in micro F1 (0.800 and 0.790, difference +0.002 to +0.020)"
    )
