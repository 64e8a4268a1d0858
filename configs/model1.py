"""Model 1 of the specification: four convolutions, two LSTM layers, dropout in both branches.

    python -m mmgenre.main --config configs/model1.py --config.data.dir=<prepared data set>

`--config configs/model1.py:trial` shrinks everything, to see in seconds that it all works.
"""

from ml_collections import ConfigDict

from mmgenre.config import default_config


def get_config(variant: str = "") -> ConfigDict:
    """Returns the config; `variant` is empty or "trial"."""
    config = default_config()
    config.name = "model1"
    config.batch_size = 256

    config.model.cnn_filters = (32, 64, 128, 128)
    config.model.cnn_dropout = 0.3
    config.model.poster_features = 512
    config.model.lstm_units = (64, 64)
    config.model.lstm_dropout = 0.3
    config.model.overview_features = 18
    config.model.head_units = (512, 256)
    config.model.head_dropout = 0.3

    # The specification leaves these free; Model 0 has the same.
    config.model.vocabulary_size = 20_000
    config.model.embedding_size = 128
    config.data.max_tokens = 128
    config.learning_rate = 1e-3
    config.epochs = 30
    config.patience = 5

    if variant == "trial":
        config.name = "model1-trial"
        config.epochs = 1
        config.batch_size = 32
        config.model.cnn_filters = (4, 4, 8, 8)
        config.model.poster_features = 16
        config.model.lstm_units = (8, 8)
        config.model.head_units = (16, 16)
    elif variant:
        raise ValueError(f"model1 has no variant {variant!r}; there is 'trial'")
    return config
