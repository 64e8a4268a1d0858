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
    """

    vocabulary_size: int
    buckets: int
    dropout_rate: float
    num_genres: int

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
        word_logits, pair_logits = (
            (dropout(weight * norm, rows, deterministic=deterministic) * _SCALE)[..., None]
            * table[ids]
            for ids, (weight, _) in zip((words, pairs), weights, strict=True)
        )
        # A pair is found at its first word; half of it belongs to the second one.
        halves = pair_logits / 2
        second = jnp.pad(halves[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return word_logits + halves + second


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
    place = np.arange(tokens.shape[1])
    frequency = np.zeros(vocabulary_size + buckets, np.int64)
    for ids, last in ((words, lengths), (pairs, lengths - 1)):
        movie, position = np.nonzero(place < last[:, None])
        once = np.unique(np.stack([movie, ids[movie, position]]), axis=1)[1]
        frequency += np.bincount(once, minlength=len(frequency))
    idf = np.log((1 + len(tokens)) / (1 + frequency)) + 1
    return np.where(frequency >= 2, idf, 0).astype(np.float32)
