"""The optimizer of an experiment."""

import functools
from collections.abc import Iterable
from typing import Any, Final

import jax
import optax

from mmgenre.config import Config

_WARM_UP: Final = 0.05  # Of all steps.
_LAST: Final = 0.02  # Of the highest learning rate, at the last step.
_MOMENTUM: Final = 0.9


def build(config: Config, num_steps: int = 1) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) on matrices.

    The logits of words and pairs get gradient descent with momentum instead: Adam gives the rarest
    word the step of the most common one, which undoes their TF-IDF weights. Word embeddings have
    `config.embedding_learning_rate` times the rate of the others. With
    `config.clip_norm`, gradients of a larger global norm are scaled down to it before (Pascanu et
    al., 2013).

    Args:
      config: the experiment.
      num_steps: of the whole training, for the schedule of the learning rate; its value does not
        change the structure of the state.
    """
    kinds = {"rest": _adam(config, 1.0, num_steps)}
    if config.embedding_learning_rate != 1:
        kinds["embedding"] = _adam(config, config.embedding_learning_rate, num_steps)
    if config.model.ngram_buckets:
        kinds["ngrams"] = optax.sgd(
            _schedule(config, config.ngram_learning_rate, num_steps), momentum=_MOMENTUM
        )
    adam = kinds["rest"]
    if len(kinds) > 1:
        adam = optax.multi_transform(kinds, functools.partial(_kinds, kinds))
    if not config.clip_norm:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


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


def _kinds(kinds: Iterable[str], params: Any) -> Any:
    """Labels each parameter with its kind, those of a kind that is not there with "rest"."""

    def kind(path: tuple[Any, ...], _: Any) -> str:
        names = [key.key for key in path]
        found = "ngrams" if names[0] == "ngram_logits" else names[-1]
        return found if found in kinds else "rest"

    return jax.tree_util.tree_map_with_path(kind, params)
