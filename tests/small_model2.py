"""Model 2 in little, with parameters that are not at their start, and three movies."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from configs import model2
from mmgenre import schema
from mmgenre.config import Config, ModelConfig
from mmgenre.dataset.random_streams import init_key
from mmgenre.kernels import plain_kernels
from mmgenre.models import fusion

VOCABULARY, BUCKETS = 12, 64
TOKENS = np.array([[2, 3, 2, 3, 4, 0, 0], [5, 2, 3, 7, 8, 9, 3], [0, 0, 0, 0, 0, 0, 0]], np.int32)
LENGTHS = np.array([5, 7, 1], np.int32)
"""The third movie has no overview."""


def small_model() -> ModelConfig:
    config = Config.from_config_dict(model2.get_config("trial")).model
    return dataclasses.replace(config, vocabulary_size=VOCABULARY, embedding_size=6)


def batch_of(tokens: np.ndarray, lengths: np.ndarray, seed: int = 0) -> dict[str, jax.Array]:
    posters = np.random.default_rng(seed).integers(0, 256, (len(tokens), 64, 64, 3), np.uint8)
    return {
        **fusion.example_batch(len(tokens)),
        schema.POSTER: jnp.asarray(posters),
        schema.TOKENS: jnp.asarray(tokens),
        schema.LENGTH: jnp.asarray(lengths),
    }


def random_params(model: fusion.FusionModel) -> dict:
    init = jax.jit(functools.partial(model.init, deterministic=True))
    with plain_kernels.kernels():  # The fast ones take long to compile.
        params = init(init_key(1), fusion.example_batch())["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    drawn = [x + 0.2 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, drawn)
