"""Pieces of words: what a rare word shares with its relatives ("murders", "murderer").

A word's pieces are its runs of 3 to 5 characters, with a mark at either end (Bojanowski et al.,
2017, "Enriching Word Vectors with Subword Information"). A piece is hashed into buckets.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

SHORTEST: Final = 3
LONGEST: Final = 5
PER_WORD: Final = 24
"""Pieces of a word at most: those of a word of nine letters. Of a longer one the rarest."""

_MARK: Final = "\x02"  # At both ends; no word has it.


def pieces_of(word: str) -> list[str]:
    """Returns the different pieces of a word, sorted; a single letter's is the whole of it."""
    marked = f"{_MARK}{word}{_MARK}"
    return sorted(
        {
            marked[start : start + size]
            for size in range(SHORTEST, LONGEST + 1)
            for start in range(len(marked) - size + 1)
        }
    )


def piece_table(
    words: Sequence[str], document_frequency: np.ndarray, vocabulary_size: int, buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each word's pieces and their weights.

    A piece weighs its inverse document frequency (see `ngram_logits.inverse_document_frequency`),
    a word's weights have the Euclidean norm 1. Pieces of one word of the train split alone, and of
    words that are not in it, weigh nothing: there is nobody to share with.

    Args:
      words: by id.
      document_frequency: <int>[vocabulary_size], movies of the train split that have the word; a
        word with 0 has no pieces.
      vocabulary_size: rows; words beyond the last one have no pieces.
      buckets: hash buckets.

    Returns:
      The pieces' buckets <float32>[vocabulary_size, PER_WORD], `buckets` where there is none (whole
      numbers: a model's parameters are floats), and weights of the same shape, 0 there.
    """
    of_word = {
        number: np.array(
            [
                zlib.crc32(piece.encode("utf-8", "surrogatepass")) % buckets
                for piece in pieces_of(word)
            ]
        )
        for number, word in enumerate(words[:vocabulary_size])
        if document_frequency[number]
    }
    frequency, sharers = np.zeros(buckets), np.zeros(buckets, np.int64)
    for number, pieces in of_word.items():
        frequency[pieces] += document_frequency[number]
        sharers[pieces] += 1
    # A piece of several words of a movie is counted more than once: an upper bound.
    idf = np.where(sharers > 1, np.log(1 + frequency.max(initial=1) / np.maximum(frequency, 1)), 0)
    table = np.full((vocabulary_size, PER_WORD), buckets, np.float32)
    weights = np.zeros((vocabulary_size, PER_WORD), np.float32)
    for number, pieces in of_word.items():
        shared = np.unique(pieces[idf[pieces] > 0])
        shared = shared[np.argsort(-idf[shared], kind="stable")][:PER_WORD]
        if len(shared):
            table[number, : len(shared)] = shared
            weights[number, : len(shared)] = idf[shared] / np.linalg.norm(idf[shared])
    return table, weights
