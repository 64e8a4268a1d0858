"""The overview's branch: word embeddings, stacked LSTMs, one vector of all words, dense."""

from typing import Final

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre.kernels import dense, lstm, lstm_choice
from mmgenre.models.dropout import RowDropout, dropout_mask


class OverviewLSTM(nn.Module):
    """Stacked LSTMs from an overview to its features.

    Attributes:
      vocabulary_size: rows of the embedding.
      embedding_size: features of a word.
      units: units of each LSTM layer.
      dropout_rate: after each LSTM layer.
      features: units of the dense layer at the end.
      dtype: that LSTMs and products are computed in; parameters are float32.
      lstm_kernel: see `ModelConfig`.
      pooling: "last" or "attention"; see `ModelConfig.overview_pooling`.
      attention_heads: weighted means of the words, with pooling "attention".
      word_dropout_rate: of whole words.
      embedding_dropout_rate: of features of the embedding, the same in all words of a movie.
      embedding_stddev: of the embedding's random initial values.
    """

    vocabulary_size: int
    embedding_size: int
    units: tuple[int, ...]
    dropout_rate: float
    features: int
    dtype: jnp.dtype = jnp.float32
    lstm_kernel: str = "auto"
    pooling: str = "last"
    attention_heads: int = 8
    word_dropout_rate: float = 0.0
    embedding_dropout_rate: float = 0.0
    embedding_stddev: float = 0.05

    def setup(self) -> None:
        """Names the parts, so that `embed` and `from_embeddings` can be called alone."""
        self.embedding = nn.Embed(
            self.vocabulary_size,
            self.embedding_size,
            embedding_init=nn.initializers.normal(stddev=self.embedding_stddev),
        )
        self.lstm = LSTMStack(self.units, self.dropout_rate, self.lstm_kernel)
        self.dropout = RowDropout(self.dropout_rate)
        self.attention = AttentionPooling(self.attention_heads, dtype=self.dtype)
        self.word_dropout = RowDropout(self.word_dropout_rate)
        self.embedding_dropout = RowDropout(self.embedding_dropout_rate)
        self.dense = nn.Dense(
            self.features,
            dtype=self.dtype,
            kernel_init=nn.initializers.glorot_uniform(),
            **dense.options(self.dtype),
        )

    def __call__(
        self, tokens: jax.Array, lengths: jax.Array, rows: jax.Array, *, deterministic: bool
    ) -> jax.Array:
        """Returns the features [batch, features], of `dtype`; padding does not change them.

        Args:
          tokens: <int32>[batch, time], word ids; what follows the first `lengths` is padding.
          lengths: <int32>[batch], at least 1.
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
        embeddings = self.embed(tokens, lengths)
        return self.from_embeddings(embeddings, lengths, rows, deterministic=deterministic)

    def embed(self, tokens: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
        """Returns the words' embeddings <float32>[batch, time, embedding_size].

        Rounding to `dtype` comes after, so that their gradients are summed in float32. With
        `lengths`, padding is embedded as zeros and has no gradient: its zeros would all be added
        to one row of the table, which on a GPU they wait in line for.
        """
        if lengths is None:
            return self.embedding(tokens)
        is_word = jnp.arange(tokens.shape[1]) < lengths[:, None]
        no_row = jnp.where(is_word, tokens, self.vocabulary_size)
        table = self.embedding.embedding
        return table.at[no_row].get(mode="fill", fill_value=0)

    def from_embeddings(
        self, embeddings: jax.Array, lengths: jax.Array, rows: jax.Array, *, deterministic: bool
    ) -> jax.Array:
        """The branch behind the embedding, for attributions to words; see `__call__`."""
        embeddings = embeddings.astype(self.dtype)
        if self.pooling == "last":
            outputs_BxTxH = self.lstm(embeddings, rows, deterministic=deterministic)
            last_Bx1xH = jnp.take_along_axis(outputs_BxTxH, (lengths - 1)[:, None, None], axis=1)
            # The last layer's dropout comes after the choice of its last output: the same function.
            pooled_BxP = last_Bx1xH[:, 0]
        else:
            ones = jnp.ones(embeddings.shape[:2], embeddings.dtype)
            kept_BxT = self.word_dropout(ones, rows, deterministic=deterministic)
            ones = jnp.ones((embeddings.shape[0], embeddings.shape[2]), embeddings.dtype)
            kept_BxE = self.embedding_dropout(ones, rows, deterministic=deterministic)
            embeddings = embeddings * kept_BxT[..., None] * kept_BxE[:, None]
            outputs_BxTxH = self.lstm(embeddings, rows, deterministic=deterministic)
            words_BxTxW = jnp.concatenate([embeddings, outputs_BxTxH], axis=-1)
            pooled_BxP = self.attention(words_BxTxW, lengths)
        features = self.dense(self.dropout(pooled_BxP, rows, deterministic=deterministic))
        return nn.relu(features).astype(self.dtype)


class AttentionPooling(nn.Module):
    """One vector of all words: their mean, and means weighted by what each head looks for.

    A head scores each word by a dot product and weighs words by the softmax of their scores
    (Lin et al., 2017, without their hidden layer).

    Attributes:
      heads: weighted means.
      dtype: that products are computed in; parameters are float32.
    """

    heads: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, words_BxTxW: jax.Array, lengths: jax.Array) -> jax.Array:
        """Returns [batch, (1 + heads) * n] of words <float>[batch, time, n].

        Only the first `lengths` <int32>[batch] words count. The mean is the sum over the root of
        the length, so that the mean of many independent words is not small.
        """
        time = words_BxTxW.shape[1]
        is_word_BxTx1 = (jnp.arange(time) < lengths[:, None])[..., None]
        roots_Bx1 = jnp.sqrt(lengths.astype(jnp.float32))[:, None]
        mean_BxW = jnp.where(is_word_BxTx1, words_BxTxW, 0).sum(axis=1) / roots_Bx1
        # In float32: a softmax over many words in bfloat16 loses the small weights.
        scores_BxTxK = nn.Dense(self.heads, dtype=self.dtype)(words_BxTxW).astype(jnp.float32)
        weights_BxTxK = jax.nn.softmax(jnp.where(is_word_BxTx1, scores_BxTxK, -jnp.inf), axis=1)
        heads_BxKxW = jnp.einsum("btk,btw->bkw", weights_BxTxK.astype(self.dtype), words_BxTxW)
        flat_BxP = _HEAD_SCALE * heads_BxKxW.reshape((heads_BxKxW.shape[0], -1))
        return jnp.concatenate([mean_BxW.astype(self.dtype), flat_BxP], axis=-1)


_HEAD_SCALE: Final = 4.0
"""A weighted mean of words is smaller than the sum over the root of their number."""


class LSTMStack(nn.Module):
    """LSTM layers, one on top of the other, with dropout between them.

    Attributes:
      units: units of each layer.
      dropout_rate: on the outputs of each layer but the last.
      kernel: see `ModelConfig.lstm_kernel`.
    """

    units: tuple[int, ...]
    dropout_rate: float
    kernel: str = "auto"

    @nn.compact
    def __call__(self, x: jax.Array, rows: jax.Array, *, deterministic: bool) -> jax.Array:
        """Returns the last layer's outputs [batch, time, units[-1]], of x's dtype.

        Args:
          x: <float>[batch, time, features].
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
        layers, features = [], x.shape[-1]
        for index, units in enumerate(self.units):
            input_kernel = self.param(
                f"layer{index}_input_kernel",
                nn.initializers.glorot_uniform(),
                (features, 4 * units),
            )
            recurrent_kernel = self.param(
                f"layer{index}_recurrent_kernel", _orthogonal_gates, (units, 4 * units)
            )
            bias = self.param(f"layer{index}_bias", _forget_bias_one, (4 * units,))
            layers.append((input_kernel, recurrent_kernel, bias))
            features = units
        masks: list[jax.Array | None] = [None] * len(layers)
        if not deterministic and self.dropout_rate > 0:
            for index, units in enumerate(self.units[:-1]):
                shape = (x.shape[1], units)
                key = self.make_rng("dropout")
                masks[index] = dropout_mask(key, rows, shape, self.dropout_rate, jnp.float32)
        method = lstm_choice.method_of(self.kernel, self.units, x.dtype)
        return lstm.lstm_stack(x, layers, masks, method=method)


def _orthogonal_gates(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """An orthogonal matrix for each of the four gates; Keras draws one for all of them together."""
    units = shape[0]
    gates = nn.initializers.orthogonal()
    return jnp.concatenate(
        [gates(gate_key, (units, units)) for gate_key in jax.random.split(key, 4)], axis=1
    )


def _forget_bias_one(key: jax.Array, shape: tuple[int]) -> jax.Array:
    """Zeros, but one for the forget gate (Jozefowicz et al., 2015), the second of i, f, g, o."""
    del key
    units = shape[0] // 4
    return jnp.zeros(shape).at[units : 2 * units].set(1)
