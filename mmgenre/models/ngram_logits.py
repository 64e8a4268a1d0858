"""Linear logits of words and pairs of words: what TF-IDF with logistic regression has.

Part of the network and trained with it, so that the other branches learn what it lacks. A word has
its id, a pair of neighbours is hashed into buckets. An n-gram that occurs c times in an overview
weighs (1 + log c) times its inverse document frequency, and an overview's weights have the
Euclidean norm 1 (Salton and Buckley, 1988), as scikit-learn's `TfidfVectorizer` with sublinear_tf.
"""

from typing import Final

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmgenre import schema
from mmgenre.models import word_pieces
from mmgenre.models.dropout import RowDropout

_SCALE: Final = 4.0
"""Of the logits, as the weights of one movie are small."""


class NGramLogits(nn.Module):
    """Logits as a weighted sum over an overview's words and pairs.

    Parameters: "table" <float32>[vocabulary_size + buckets, genres], trained, zeros at first;
    "idf" <float32>[vocabulary_size + buckets], constant, from `inverse_document_frequency`.

    Attributes:
      vocabulary_size: word ids.
      buckets: hash buckets of pairs.
      dropout_rate: of n-grams.
      num_genres: logits.
      piece_buckets: hash buckets of pieces of words; 0 for none.
    """

    vocabulary_size: int
    buckets: int
    dropout_rate: float
    num_genres: int
    piece_buckets: int = 0

    @nn.compact
    def __call__(
        self, tokens: jax.Array, lengths: jax.Array, rows: jax.Array, *, deterministic: bool
    ) -> jax.Array:
        """Returns the logits of each position <float32>[batch, time, genres]; their sum counts.

        A pair's logits are shared by its two positions.

        Args:
          tokens: <int32>[batch, time], word ids.
          lengths: <int32>[batch], of which the rest is padding.
          rows: <int32>[batch], places in the global batch, for dropout.
          deterministic: True turns dropout off.
        """
        size = self.vocabulary_size + self.buckets
        table = self.param("table", nn.initializers.zeros, (size, self.num_genres))
        idf = jax.lax.stop_gradient(self.param("idf", nn.initializers.ones, (size,)))
        words, pairs = ngrams(tokens, self.vocabulary_size, self.buckets)
        place = jnp.arange(tokens.shape[1])
        # Padding is no word: so a movie without an overview has no n-grams.
        is_word = (place < lengths[:, None]) & (tokens != schema.PAD_ID)
        is_pair = is_word & (place + 1 < lengths[:, None])
        weights = [
            _weights(ids, exists, idf) for ids, exists in ((words, is_word), (pairs, is_pair))
        ]
        squares = sum(square.sum(axis=1) for _, square in weights)
        norm = jax.lax.rsqrt(jnp.maximum(squares, 1e-12))[:, None]
        dropout = RowDropout(self.dropout_rate)
        word_weights, pair_weights = (
            (dropout(weight * norm, rows, deterministic=deterministic) * _SCALE)[..., None]
            for weight, _ in weights
        )
        of_words = table[words]
        if self.piece_buckets:
            of_words += self._of_pieces(words, is_word)
        word_logits, pair_logits = word_weights * of_words, pair_weights * table[pairs]
        # A pair is found at its first word; half of it belongs to the second one.
        halves = pair_logits / 2
        second = jnp.pad(halves[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return word_logits + halves + second

    def _of_pieces(self, words: jax.Array, is_word: jax.Array) -> jax.Array:
        """Returns what the pieces add to the logits of words <float32>[batch, time, genres]."""
        initial = nn.initializers
        shape = (self.vocabulary_size, word_pieces.PER_WORD)
        table = self.param("piece_table", initial.zeros, (self.piece_buckets, self.num_genres))
        # Constant, like `idf`; float32 holds the numbers of all buckets.
        pieces = self.param("pieces", initial.constant(self.piece_buckets), shape)
        weights = jax.lax.stop_gradient(self.param("piece_weights", initial.zeros, shape))
        # Out of range where there is none: no gradient that adds zeros to a row.
        no_word = jnp.where(is_word, words, self.vocabulary_size)
        ids = (
            jax.lax.stop_gradient(pieces)
            .at[no_word]
            .get(mode="fill", fill_value=self.piece_buckets)
        )
        rows = table.at[ids.astype(jnp.int32)].get(mode="fill", fill_value=0)
        return jnp.einsum("btp,btpg->btg", weights[words], rows)


def _weights(ids: jax.Array, exists: jax.Array, idf: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns each position's share of its n-gram's weight, and of the weight's square."""
    same = (ids[:, :, None] == ids[:, None, :]) & exists[:, None, :]
    counts = jnp.maximum(same.sum(axis=-1), 1).astype(jnp.float32)
    whole = jnp.where(exists, idf[ids] * (1 + jnp.log(counts)), 0)
    return whole / counts, whole**2 / counts


def ngrams(
    tokens: jax.Array | np.ndarray, vocabulary_size: int, buckets: int
) -> tuple[jax.Array, jax.Array]:
    """Returns the n-grams at each position of <int>[batch, time]: words and pairs, <int32>.

    Words are their ids; the pair of a word and the next is `vocabulary_size` plus its bucket (at
    the last position it is none). Multiplicative hashing by odd constants.
    """
    words = jnp.asarray(tokens, jnp.int32)
    first = words.astype(jnp.uint32)
    second = jnp.roll(first, -1, axis=1)
    mixed = first * jnp.uint32(0x9E3779B1) ^ (second * jnp.uint32(0x85EBCA6B) + 0x27D4EB2F)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x846CA68B)
    mixed ^= mixed >> 16
    return words, vocabulary_size + (mixed % jnp.uint32(buckets)).astype(jnp.int32)


def inverse_document_frequency(
    tokens: np.ndarray, lengths: np.ndarray, vocabulary_size: int, buckets: int
) -> np.ndarray:
    """Returns "idf" <float32>[vocabulary_size + buckets] of a train split.

    log((1 + movies) / (1 + movies with the n-gram)) + 1, and 0 for what fewer than two movies have.
    Pairs are counted by bucket: where two of them share one, it counts the movies of both, and may
    weigh something though either pair is in one movie only.

    Args:
      tokens: <int32>[movies, time].
      lengths: <int32>[movies].
      vocabulary_size: word ids.
      buckets: hash buckets of pairs.
    """
    words, pairs = (np.asarray(ids) for ids in ngrams(tokens, vocabulary_size, buckets))
    size = vocabulary_size + buckets
    frequency = _movies_with(words, lengths, size) + _movies_with(pairs, lengths - 1, size)
    idf = np.log((1 + len(tokens)) / (1 + frequency)) + 1
    return np.where(frequency >= 2, idf, 0).astype(np.float32)


def word_frequency(tokens: np.ndarray, lengths: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Returns how many movies have each word, <int64>[vocabulary_size]; 0 for unknown words.

    Args:
      tokens: <int32>[movies, time].
      lengths: <int32>[movies].
      vocabulary_size: word ids.
    """
    frequency = _movies_with(tokens, lengths, vocabulary_size)
    frequency[[schema.PAD_ID, schema.UNKNOWN_ID]] = 0
    return frequency


def _movies_with(ids: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Returns how many movies have each of `size` ids among the first `lengths`, <int64>[size]."""
    movie, position = np.nonzero(np.arange(ids.shape[1]) < lengths[:, None])
    once = np.unique(np.stack([movie, ids[movie, position]]), axis=1)[1]
    return np.bincount(once, minlength=size)
