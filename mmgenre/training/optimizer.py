"""The optimizer of an experiment."""

import functools
from collections.abc import Container, Mapping
from typing import Any, Final

import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.models import fusion

_REST: Final = "rest"
_POSTER_VECTORS: Final = frozenset({fusion.STATISTICS, schema.POSTER_VECTOR})
"""The networks on vectors of posters, whose parameters all are of one kind."""

_KINDS: Final[Mapping[fusion.ParamPath, str]] = {
    fusion.EMBEDDING: "embedding",
    fusion.NGRAM_TABLE: "ngrams",
    fusion.NGRAM_IDF: "ngrams",  # Constant: its gradient is zero.
    fusion.PIECE_TABLE: "ngrams",
    fusion.PIECES: "constant",
    fusion.PIECE_WEIGHTS: "constant",
}
"""Parameters that have an optimizer of their own. Its name is part of a checkpoint's tree."""

_WARM_UP: Final = 0.05  # Of all steps.
_LAST: Final = 0.02  # Of the highest learning rate, at the last step.
_MOMENTUM: Final = 0.9


def build(config: Config, num_steps: int) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) on matrices.

    The logits of words and pairs get gradient descent with momentum instead: Adam gives the rarest
    word the step of the most common one, which undoes their TF-IDF weights. Word embeddings have
    `config.embedding_learning_rate_factor` times the rate of the others, networks on vectors
    of posters `config.poster_vector_learning_rate_factor` times. With
    `config.clip_norm`, gradients of a larger global norm are scaled down to it before (Pascanu et
    al., 2013).

    Args:
      config: the experiment.
      num_steps: of the whole training, for the schedule of the learning rate; its value does not
        change the structure of the state.
    """
    kinds = {_REST: _adam(config, 1.0, num_steps)}
    if config.embedding_learning_rate_factor != 1:
        kinds["embedding"] = _adam(config, config.embedding_learning_rate_factor, num_steps)
    if config.poster_vector_learning_rate_factor != 1:
        kinds["poster_vectors"] = _adam(
            config, config.poster_vector_learning_rate_factor, num_steps
        )
    if config.model.ngram_buckets:
        kinds["ngrams"] = optax.sgd(
            _schedule(config, config.ngram_learning_rate, num_steps), momentum=_MOMENTUM
        )
        if config.model.piece_buckets:
            kinds["constant"] = optax.set_to_zero()
    adam = kinds[_REST]
    if len(kinds) > 1:
        adam = optax.multi_transform(kinds, functools.partial(_labels, kinds))
    if not config.clip_norm:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def learning_rates(config: Config, num_steps: int) -> np.ndarray:
    """Returns the learning rate of each step <float>[num_steps], before any factor."""
    schedule = _schedule(config, config.learning_rate, num_steps)
    if not callable(schedule):
        return np.full(num_steps, schedule)
    return np.asarray(jax.jit(jax.vmap(schedule))(np.arange(num_steps)))


def _adam(config: Config, share: float, num_steps: int) -> optax.GradientTransformation:
    rate = _schedule(config, share * config.learning_rate, num_steps)
    if config.weight_decay:
        return optax.adamw(rate, weight_decay=config.weight_decay, mask=_is_matrix)
    return optax.adam(rate)


def _schedule(config: Config, rate: float, num_steps: int) -> float | optax.Schedule:
    if config.learning_rate_schedule == "constant":
        return rate
    warm_up = max(1, round(_WARM_UP * num_steps))
    return optax.warmup_cosine_decay_schedule(
        0.0, rate, warm_up, max(num_steps, warm_up + 1), _LAST * rate
    )


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, params)


def _labels(kinds: Container[str], params: Any) -> Any:
    """Returns the kind of each parameter of a tree; those without an optimizer are of the rest."""
    labels = {
        path: "poster_vectors" if path[0] in _POSTER_VECTORS else _KINDS.get(path, _REST)
        for path in flatten_dict(params)
    }
    return unflatten_dict({path: kind if kind in kinds else _REST for path, kind in labels.items()})
