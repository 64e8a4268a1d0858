"""The models: the specification's parameter counts, and what must never change a logit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmgenre import schema
from mmgenre.config import ModelConfig
from mmgenre.models import fusion
from mmgenre.models.dropout import RowDropout, dropout_mask
from tests.conftest import TINY_MODEL

MODEL_0 = ModelConfig(cnn_filters=(64, 128), cnn_dropout=0.0, lstm_dropout=0.0)
MODEL_1 = ModelConfig()


def random_batch(seed: int, batch_size: int = 5, num_tokens: int = 12) -> dict[str, jax.Array]:
    generator = np.random.default_rng(seed)
    batch = fusion.example_batch(batch_size, num_tokens)
    batch[schema.POSTER] = jnp.asarray(
        generator.integers(0, 256, batch[schema.POSTER].shape), jnp.uint8
    )
    batch[schema.TOKENS] = jnp.asarray(
        generator.integers(1, 2_000, (batch_size, num_tokens)), jnp.int32
    )
    batch[schema.LENGTH] = jnp.asarray(generator.integers(1, num_tokens, batch_size), jnp.int32)
    return batch


@pytest.fixture(scope="module")
def model():
    return fusion.build(TINY_MODEL)


@pytest.fixture(scope="module")
def params(model):
    return jit_init(model)


def jit_init(model):
    init = jax.jit(lambda key: model.init(key, random_batch(0), deterministic=True)["params"])
    return init(jax.random.key(0))


@pytest.fixture(scope="module")
def logits_of(model):
    return jax.jit(lambda params, batch: model.apply({"params": params}, batch, deterministic=True))


@pytest.mark.parametrize(("config", "count"), [(MODEL_0, 19_904_804), (MODEL_1, 4_341_348)])
def test_parameter_counts(config, count):
    model = fusion.build(config)
    shapes = jax.eval_shape(
        lambda key: model.init(key, fusion.example_batch(), deterministic=True), jax.random.key(0)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def test_padding_content_never_changes_the_logits(params, logits_of):
    batch = random_batch(1)
    is_padding = np.arange(12) >= np.asarray(batch[schema.LENGTH])[:, None]
    assert is_padding.any()
    other = np.where(is_padding, 777, batch[schema.TOKENS])
    changed = {**batch, schema.TOKENS: jnp.asarray(other, jnp.int32)}
    np.testing.assert_array_equal(logits_of(params, batch), logits_of(params, changed))


def test_padding_length_never_changes_the_logits(params, logits_of):
    batch = random_batch(2)
    longer = np.pad(batch[schema.TOKENS], [(0, 0), (0, 9)], constant_values=5)
    changed = {**batch, schema.TOKENS: jnp.asarray(longer)}
    np.testing.assert_allclose(logits_of(params, batch), logits_of(params, changed), atol=1e-6)


def test_the_last_real_token_counts(params, logits_of):
    batch = random_batch(3)
    tokens = np.array(batch[schema.TOKENS])
    last = np.asarray(batch[schema.LENGTH]) - 1
    tokens[np.arange(5), last] = (tokens[np.arange(5), last] + 1) % 2_000
    changed = logits_of(params, {**batch, schema.TOKENS: jnp.asarray(tokens)})
    assert (np.abs(np.asarray(changed - logits_of(params, batch))).max(axis=1) > 0).all()


def test_bfloat16_is_close_to_float32_and_keeps_float32_where_it_matters(model, params):
    other = fusion.build(dataclasses.replace(TINY_MODEL, compute_dtype="bfloat16"))
    batch, labels = random_batch(6), np.random.default_rng(0).integers(0, 2, (5, 18))

    def loss(params, model):
        logits = model.apply({"params": params}, batch, deterministic=True)
        assert logits.dtype == jnp.float32
        return optax.sigmoid_binary_cross_entropy(logits, labels).mean(), logits

    step = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    (_, expected), expected_grads = step(params, model)
    (value, logits), grads = step(params, other)
    assert (value.dtype, logits.dtype) == (jnp.float32, jnp.float32)
    assert not np.array_equal(logits, expected)  # Something was rounded.
    np.testing.assert_allclose(logits, expected, atol=0.02 * np.abs(expected).max())
    for (path, e), a in zip(
        jax.tree.leaves_with_path(expected_grads), jax.tree.leaves(grads), strict=True
    ):
        assert a.dtype == jnp.float32, path
        assert np.isfinite(a).all(), path
        e, a = np.ravel(e), np.ravel(a)
        assert e @ a > 0.98 * np.linalg.norm(e) * np.linalg.norm(a), path
    initial = jax.eval_shape(
        lambda key: other.init(key, batch, deterministic=True), jax.random.key(0)
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(initial)} == {np.dtype("float32")}


def test_each_branch_receives_gradient(model, params):
    batch = random_batch(4)

    def total(params):
        return jnp.square(model.apply({"params": params}, batch, deterministic=True)).sum()

    grads = jax.jit(jax.grad(total))(params)
    for branch in ("poster_cnn", "overview_lstm", "head"):
        for path, grad in jax.tree.leaves_with_path(grads[branch]):
            assert np.abs(grad).max() > 0, (branch, path)


@pytest.mark.parametrize("branch", ["poster", "overview"])
def test_a_branch_that_is_cut_off_has_no_parameters_and_no_influence(branch):
    config = dataclasses.replace(TINY_MODEL, **{f"use_{branch}": False})
    model, batch = fusion.build(config), random_batch(5)
    params = jit_init(model)
    assert {"poster": "poster_cnn", "overview": "overview_lstm"}[branch] not in params
    feature = {"poster": schema.POSTER, "overview": schema.TOKENS}[branch]
    changed = {**batch, feature: jnp.zeros_like(batch[feature])}
    np.testing.assert_array_equal(
        model.apply({"params": params}, batch, deterministic=True),
        model.apply({"params": params}, changed, deterministic=True),
    )


@pytest.mark.parametrize(
    ("config", "rates"),
    [(MODEL_0, [0.3, 0.3]), (MODEL_1, [0.3] * 5)],
    ids=["model0", "model1"],
)
def test_dropout_rates_are_those_of_the_table(config, rates, monkeypatch):
    # Collected where the model draws its masks, so that a rate that is set but not used is missed.
    drawn = []

    def record(key, rows, shape, rate, dtype):
        drawn.append(rate)
        return dropout_mask(key, rows, shape, rate, dtype)

    monkeypatch.setattr("mmgenre.models.dropout.dropout_mask", record)
    monkeypatch.setattr("mmgenre.models.overview_lstm.dropout_mask", record)
    model = fusion.build(dataclasses.replace(config, vocabulary_size=10))
    batch = fusion.example_batch(1, 3)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    jax.eval_shape(lambda keys: model.init(keys, batch, deterministic=False), keys)
    assert drawn == rates
    drawn.clear()
    jax.eval_shape(lambda keys: model.init(keys, batch, deterministic=True), keys)
    assert not drawn


def test_dropout_keeps_the_right_share_and_the_mean():
    rows = jnp.arange(64, dtype=jnp.int32)
    mask = np.asarray(dropout_mask(jax.random.key(3), rows, (50, 20), 0.3, jnp.float32))
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.7)}
    # 64,000 draws: the standard deviation of the share is 0.0018.
    assert abs((mask == 0).mean() - 0.3) < 0.01
    for axis in [(1, 2), (0, 2), (0, 1)]:  # Neither rows nor columns are treated differently.
        assert np.abs((mask == 0).mean(axis=axis) - 0.3).max() < 0.1
    assert abs(np.corrcoef(mask[0].ravel(), mask[1].ravel())[0, 1]) < 0.15


def test_dropout_of_bfloat16_keeps_the_mean():
    """1 / 0.7 is rounded with each value, not before: else all would be a thousandth too large."""
    x = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (64, 5_000)), jnp.bfloat16)
    rows = jnp.arange(64, dtype=jnp.int32)
    kept = RowDropout(0.3).apply(
        {}, x, rows, deterministic=False, rngs={"dropout": jax.random.key(7)}
    )
    assert kept.dtype == jnp.bfloat16
    kept, x = np.asarray(kept, np.float64), np.asarray(x, np.float64)
    assert abs(kept[kept > 0].sum() / x[kept > 0].sum() * 0.7 - 1) < 1e-4


def test_dropout_depends_on_the_row_alone_not_on_its_device():
    dropout, x = RowDropout(0.5), jnp.ones((8, 30))
    rows = jnp.arange(8, dtype=jnp.int32)

    def apply(x, rows):
        return dropout.apply({}, x, rows, deterministic=False, rngs={"dropout": jax.random.key(7)})

    whole = apply(x, rows)
    parts = [apply(x[4 * i : 4 * i + 4], rows[4 * i : 4 * i + 4]) for i in range(2)]
    np.testing.assert_array_equal(whole, jnp.concatenate(parts))
    assert len(np.unique(np.asarray(whole), axis=0)) == 8
