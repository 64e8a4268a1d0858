"""The whole model: the features of both branches, concatenated, through dense layers to logits."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre import schema
from mmgenre.config import ModelConfig
from mmgenre.models.dropout import RowDropout
from mmgenre.models.overview_lstm import OverviewLSTM
from mmgenre.models.poster_cnn import PosterCNN, normalize_posters


class FusionModel(nn.Module):
    """Genre logits from a poster and an overview.

    Attributes:
      poster_cnn: the poster's branch; None where it is cut off.
      overview_lstm: the overview's branch; None where it is cut off.
      head_units: units of the dense layers between the features and the logits.
      head_dropout: rate after each of them.
      dtype: that the head's layers but the last are computed in; see `ModelConfig.compute_dtype`.
    """

    poster_cnn: PosterCNN | None
    overview_lstm: OverviewLSTM | None
    head_units: tuple[int, ...]
    head_dropout: float
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, batch: dict[str, jax.Array], *, deterministic: bool) -> jax.Array:
        """Returns the logits <float32>[batch, 18].

        Args:
          batch: "poster" <uint8>[batch, 64, 64, 3], "tokens" <int32>[batch, time], "length"
            <int32>[batch], "row" <int32>[batch]; see `mmgenre.schema`.
          deterministic: True turns dropout off; False needs a "dropout" stream.
        """
        rows, features = batch[schema.ROW], []
        if self.poster_cnn is not None:
            posters = normalize_posters(batch[schema.POSTER])
            features.append(self.poster_cnn(posters, rows, deterministic=deterministic))
        if self.overview_lstm is not None:
            tokens, lengths = batch[schema.TOKENS], batch[schema.LENGTH]
            features.append(self.overview_lstm(tokens, lengths, rows, deterministic=deterministic))
        head = FusionHead(self.head_units, self.head_dropout, self.dtype, name="head")
        return head(jnp.concatenate(features, axis=-1), rows, deterministic=deterministic)


class FusionHead(nn.Module):
    """Dense layers with ReLU and dropout, then one logit a genre.

    Attributes:
      units: units of each dense layer.
      dropout_rate: after each of them.
      dtype: that all but the logits are computed in; parameters are float32.
    """

    units: tuple[int, ...]
    dropout_rate: float
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Returns logits <float32>[batch, 18] of the features `x` <float>[batch, features]."""
        for units in self.units:
            dense = nn.Dense(units, dtype=self.dtype, kernel_init=nn.initializers.glorot_uniform())
            x = nn.relu(dense(x))
            x = RowDropout(self.dropout_rate)(x, rows, deterministic=deterministic)
        logits = nn.Dense(
            schema.NUM_GENRES,
            dtype=jnp.float32,
            kernel_init=nn.initializers.glorot_uniform(),
            name="logits",
        )
        return logits(x)


def build(config: ModelConfig) -> FusionModel:
    """Returns the model that a config describes."""
    dtype = jnp.dtype(config.compute_dtype)
    poster_cnn = PosterCNN(
        filters=config.cnn_filters,
        dropout_rate=config.cnn_dropout,
        features=config.poster_features,
        dtype=dtype,
    )
    overview_lstm = OverviewLSTM(
        vocabulary_size=config.vocabulary_size,
        embedding_size=config.embedding_size,
        units=config.lstm_units,
        dropout_rate=config.lstm_dropout,
        features=config.overview_features,
        dtype=dtype,
        lstm_kernel=config.lstm_kernel,
    )
    return FusionModel(
        poster_cnn=poster_cnn if config.use_poster else None,
        overview_lstm=overview_lstm if config.use_overview else None,
        head_units=config.head_units,
        head_dropout=config.head_dropout,
        dtype=dtype,
    )


def example_batch(batch_size: int = 1, num_tokens: int = 1) -> dict[str, jax.Array]:
    """Returns a batch of empty movies, to initialise a model with."""
    return {
        schema.POSTER: jnp.zeros((batch_size, *schema.POSTER_SHAPE), jnp.uint8),
        schema.HAS_POSTER: jnp.zeros(batch_size, bool),
        schema.TOKENS: jnp.full((batch_size, num_tokens), schema.PAD_ID, jnp.int32),
        schema.LENGTH: jnp.ones(batch_size, jnp.int32),
        schema.HAS_OVERVIEW: jnp.zeros(batch_size, bool),
        schema.LABELS: jnp.zeros((batch_size, schema.NUM_GENRES), jnp.float32),
        schema.ROW: jnp.arange(batch_size, dtype=jnp.int32),
        schema.MASK: jnp.ones(batch_size, jnp.float32),
    }
