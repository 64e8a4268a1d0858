"""The auxiliary losses, by hand."""

import jax.numpy as jnp
import numpy as np

from mmgenre.models.fusion import Evidence
from mmgenre.training.losses import AuxiliaryLosses

MASK = np.array([1, 1, 1, 0], np.float32)


def _cross_entropy(logits, labels):
    """In float64, summed over the movies that the mask leaves."""
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    each = labels * np.log(probabilities) + (1 - labels) * np.log(1 - probabilities)
    return -(each * MASK[:, None]).sum()


def _batch():
    generator = np.random.default_rng(0)
    cnn, statistics, words, lstm = generator.normal(size=(4, 4, 3)).astype(np.float32)
    bias = generator.normal(size=3).astype(np.float32)
    labels = generator.integers(0, 2, (4, 3)).astype(np.float32)
    return bias, [cnn, statistics], [words, lstm], labels


def _sum(losses, bias, of_poster, of_overview, labels):
    evidence = Evidence(jnp.asarray(bias), [*map(jnp.asarray, of_poster)], of_overview)
    return float(losses.sum(evidence, jnp.asarray(labels), jnp.asarray(MASK)))


def test_each_part_is_judged_with_the_bias_and_the_poster_as_a_whole():
    bias, of_poster, of_overview, labels = _batch()
    found = _sum(AuxiliaryLosses(0.3, 2.0, 1.5), bias, of_poster, of_overview, labels)
    scaled = [1.5 * logits for logits in of_poster]
    parts = sum(_cross_entropy(bias + logits, labels) for logits in scaled + of_overview)
    whole = _cross_entropy(bias + sum(scaled), labels)
    np.testing.assert_allclose(found, 0.3 * parts + 2 * whole, rtol=1e-5)


def test_without_a_poster_there_is_nothing_of_it():
    bias, _, of_overview, labels = _batch()
    found = _sum(AuxiliaryLosses(0.3, 2.0), bias, [], of_overview, labels)
    parts = sum(_cross_entropy(bias + logits, labels) for logits in of_overview)
    np.testing.assert_allclose(found, 0.3 * parts, rtol=1e-5)
    assert _sum(AuxiliaryLosses(), bias, [], of_overview, labels) == 0
