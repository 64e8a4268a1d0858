"""The overview's branch: pooling, worked out by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre.models.overview_lstm import AttentionPooling, OverviewLSTM


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


def test_padding_is_embedded_as_zeros_that_no_row_learns_from():
    """The only word of an empty overview is the padding token: it counts, as in the plain table."""
    branch = OverviewLSTM(6, 4, units=(3,), dropout_rate=0, features=2)
    tokens, lengths = jnp.array([[2, 0, 5, 0, 0], [0, 0, 0, 0, 0]]), jnp.array([3, 1])
    rows = jnp.arange(2)
    params = branch.init(jax.random.key(0), tokens, lengths, rows, deterministic=True)

    def embedded(params, lengths=None):
        return branch.apply(params, tokens, lengths, method=OverviewLSTM.embed)

    is_word = (np.arange(5) < lengths[:, None])[..., None]
    expected = np.where(is_word, embedded(params), 0)
    np.testing.assert_array_equal(embedded(params, lengths), expected)
    gradient = jax.grad(lambda params: embedded(params, lengths).sum())(params)
    counts = gradient["params"]["embedding"]["embedding"][:, 0]
    np.testing.assert_array_equal(counts, [2, 0, 1, 0, 0, 1])
