"""The optimizer: who gets which update, and how large it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from mmgenre.config import Config
from mmgenre.models import fusion
from mmgenre.training import optimizer
from mmgenre.training.learner import Learner
from tests.small_model2 import small_model


def test_words_get_plain_descent_and_the_rest_adam():
    config = dataclasses.replace(
        Config(), model=dataclasses.replace(Config().model, ngram_buckets=8), weight_decay=0.1
    )
    params = {
        "ngram_logits": {"table": jnp.ones((2, 2))},
        "head": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    }
    tx = optimizer.build(config, num_steps=1)
    grads = jax.tree.map(lambda x: 1e-3 * x, params)
    updates, _ = tx.update(grads, tx.init(params), params)
    after = optax.apply_updates(params, updates)
    np.testing.assert_allclose(after["ngram_logits"]["table"], 1 - 10 * 1e-3, rtol=1e-5)
    np.testing.assert_allclose(after["head"]["bias"], 1 - 1e-3, rtol=1e-3)
    np.testing.assert_allclose(after["head"]["kernel"], 1 - 1e-3 * (1 + 0.1), rtol=1e-4)


def test_each_parameter_of_model_2_has_the_rate_of_its_kind():
    config = Config(
        model=small_model(), embedding_learning_rate_factor=0.1, ngram_learning_rate=10.0
    )
    learner = Learner(config, num_steps=1)
    params = learner.create_state(learner.init_key).params
    grads = jax.tree.map(lambda x: jnp.full_like(x, 1e-2), params)
    updates, _ = learner.optimizer.update(grads, learner.optimizer.init(params), params)
    sizes = {path: float(-update.mean()) for path, update in flatten_dict(updates).items()}
    adam = dict.fromkeys(sizes, 1e-3)
    of_words = (fusion.NGRAM_TABLE, fusion.NGRAM_IDF, fusion.PIECE_TABLE)
    descent = dict.fromkeys(of_words, 10 * 1e-2)
    constant = dict.fromkeys((fusion.PIECES, fusion.PIECE_WEIGHTS), 0)
    expected = adam | descent | constant | {fusion.EMBEDDING: 1e-4}
    assert sizes == pytest.approx(expected, rel=1e-3)


def test_the_learning_rate_rises_and_falls():
    config = dataclasses.replace(Config(), learning_rate_schedule="cosine")
    tx = optimizer.build(config, num_steps=100)
    params, sizes = {"w": jnp.zeros(1)}, []
    state = tx.init(params)
    for _ in range(100):
        updates, state = tx.update({"w": jnp.ones(1)}, state, params)
        sizes.append(-float(updates["w"][0]))
    assert sizes[0] == 0 and np.argmax(sizes) == 5
    assert sizes[5] == pytest.approx(1e-3, rel=1e-3)
    assert sizes[-1] == pytest.approx(2e-5, rel=2e-2)
    # What is told of a step is what it did.
    learner = Learner(config, num_steps=100)
    assert [learner.learning_rate(step) for step in range(1, 101)] == pytest.approx(sizes, rel=1e-3)


def test_a_constant_learning_rate_is_told_as_it_was_set():
    assert Learner(Config(learning_rate=0.003), num_steps=2).learning_rate(2) == 0.003
