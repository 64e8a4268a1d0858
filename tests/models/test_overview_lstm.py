"""The overview's branch: pooling, worked out by hand."""

import math

import jax.numpy as jnp
import numpy as np

from mmgenre.models.overview_lstm import AttentionPooling


def test_attention_is_a_weighted_mean_of_words_only():
    words = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3)), jnp.float32)
    pooling = AttentionPooling(heads=2)
    kernel = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    params = {"Dense_0": {"kernel": kernel, "bias": np.array([0.5, 1.0], np.float32)}}
    pooled = pooling.apply({"params": params}, words, jnp.array([2, 5]))
    first = np.asarray(words[0, :2])
    weights = np.exp(first @ kernel)
    heads = (weights / weights.sum(axis=0)).T @ first
    expected = np.concatenate([first.sum(axis=0) / math.sqrt(2), 4 * heads.ravel()])
    np.testing.assert_allclose(pooled[0], expected, rtol=1e-5)
    changed = pooling.apply({"params": params}, words.at[0, 2:].set(9), jnp.array([2, 5]))
    np.testing.assert_array_equal(pooled, changed)
