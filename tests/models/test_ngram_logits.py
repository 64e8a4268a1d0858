"""Logits of words and pairs: TF-IDF, worked out by hand."""

import collections
import math

import jax.numpy as jnp
import numpy as np

from mmgenre import schema
from mmgenre.models.ngram_logits import NGramLogits, inverse_document_frequency, ngrams
from tests.small_model2 import BUCKETS, LENGTHS, TOKENS, VOCABULARY


def test_ngram_logits_are_tfidf_by_hand():
    idf = inverse_document_frequency(TOKENS, LENGTHS, VOCABULARY, BUCKETS)
    # Words 2 and 3 and their pair are in two of the three movies, the others in one.
    words, pairs = (np.asarray(x) for x in ngrams(TOKENS, VOCABULARY, BUCKETS))
    expected = math.log(4 / 3) + 1
    np.testing.assert_allclose(idf[[2, 3, pairs[0, 0], pairs[1, 1]]], expected, rtol=1e-6)
    assert idf[5] == idf[9] == 0
    table = np.random.default_rng(0).normal(size=(len(idf), schema.NUM_GENRES)).astype(np.float32)
    module = NGramLogits(VOCABULARY, BUCKETS, dropout_rate=0.5, num_genres=18)
    logits = module.apply(
        {"params": {"table": table, "idf": idf}},
        TOKENS,
        LENGTHS,
        jnp.arange(3),
        deterministic=True,
    )
    for movie in range(3):
        real = LENGTHS[movie] if TOKENS[movie, 0] else 0
        counts = collections.Counter(words[movie, :real].tolist())
        counts.update(pairs[movie, : max(real - 1, 0)].tolist())
        weights = {n: idf[n] * (1 + math.log(c)) for n, c in counts.items()}
        norm = math.sqrt(sum(w**2 for w in weights.values())) or 1
        whole = sum((4 * w / norm * table[n] for n, w in weights.items()), np.zeros(18))
        np.testing.assert_allclose(logits[movie].sum(axis=0), whole, rtol=1e-4, atol=1e-5)
    assert not np.asarray(logits[0, 5:]).any()  # Padding has no part of it.
