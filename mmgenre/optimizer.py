"""The optimizer of an experiment."""

import optax

from mmgenre.config import Config


def build(config: Config) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba, 2015) at a constant learning rate.

    With `config.clip_norm`, gradients of a larger global norm are scaled down to it before
    (Pascanu et al., 2013).
    """
    adam = optax.adam(config.learning_rate)
    if not config.clip_norm:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)
