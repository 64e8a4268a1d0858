"""The optimizer of an experiment."""

import optax

from mmgenre.config import Config


def build(config: Config) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba, 2015) at a constant learning rate."""
    return optax.adam(config.learning_rate)
