"""Word vectors from the train split's own overviews: which words co-occur with which.

Counts of words within a few places of each other, as positive pointwise mutual information, reduced
by a singular value decomposition: close to what word2vec learns from the same text (Levy and
Goldberg, 2014), in seconds. NumPy and SciPy only.
"""

from typing import Any, Final

import numpy as np

from mmgenre import schema

NAME: Final = "cooccurrence"
"""What `config.model.word_vectors` says for these vectors."""

_WINDOW: Final = 8
_CONTEXT_POWER: Final = 0.75  # Smooths the frequencies of contexts (Levy et al., 2015).


def word_vectors(
    tokens: np.ndarray, lengths: np.ndarray, vocabulary_size: int, size: int
) -> np.ndarray:
    """Returns vectors <float32>[vocabulary_size, size] of length 1; zeros for words without any.

    The singular vectors times the root of the singular values. Padding and unknown words count
    as context of no word.

    Args:
      tokens: <int32>[movies, time], word ids.
      lengths: <int32>[movies], of which the rest is padding.
      vocabulary_size: word ids.
      size: values of a vector; below the number of words that occur.
    """
    from scipy.sparse.linalg import svds

    information = _positive_information(tokens, lengths, vocabulary_size)
    known = np.flatnonzero(np.diff(information.indptr))
    vectors = np.zeros((vocabulary_size, size), np.float32)
    rank = min(size, len(known) - 1)
    if rank < 1:
        return vectors
    start = np.random.default_rng(0).normal(size=len(known))  # Not drawn anew at each start.
    left, values, _ = svds(information[known][:, known], k=rank, v0=start)
    scaled = left * np.sqrt(np.maximum(values, 0))
    norms = np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-6)
    vectors[known, :rank] = scaled / norms
    return vectors


def _positive_information(tokens: np.ndarray, lengths: np.ndarray, vocabulary_size: int) -> Any:
    """Returns max(0, log(p(a, b) / (p(a) p(b)))) as a sparse matrix <float32>[words, words]."""
    from scipy import sparse

    shape = (vocabulary_size, vocabulary_size)
    counts = sparse.csr_matrix(shape, dtype=np.float32)
    is_word = np.arange(tokens.shape[1]) < lengths[:, None]
    is_word &= ~np.isin(tokens, (schema.PAD_ID, schema.UNKNOWN_ID))
    for distance in range(1, min(_WINDOW, tokens.shape[1] - 1) + 1):
        both = is_word[:, :-distance] & is_word[:, distance:]
        pair = tokens[:, :-distance][both], tokens[:, distance:][both]
        ones = np.ones(len(pair[0]), np.float32)
        there = sparse.coo_matrix((ones, pair), shape=shape).tocsr()
        counts = counts + there + there.T
    counts = counts.tocoo()
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = words**_CONTEXT_POWER
    contexts /= max(contexts.sum(), 1)
    information = np.log(counts.data / (words[counts.row] * contexts[counts.col]))
    positive = information > 0
    return sparse.csr_matrix(
        (information[positive], (counts.row[positive], counts.col[positive])), shape=shape
    )
