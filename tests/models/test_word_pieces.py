"""Pieces of words: which there are, what they weigh, and that related words learn together."""

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre.models.ngram_logits import NGramLogits, word_frequency
from mmgenre.models.word_pieces import PER_WORD, piece_table, pieces_of

WORDS = ("[PAD]", "[UNK]", "murder", "murders", "murderer", "comedy", "a", "unseen")
FREQUENCY = np.array([0, 0, 9, 3, 2, 8, 9, 0])
BUCKETS = 2**16


def test_pieces_are_the_runs_of_three_to_five_characters_with_marks():
    assert pieces_of("cat") == sorted(
        ["\x02ca", "cat", "at\x02", "\x02cat", "cat\x02", "\x02cat\x02"]
    )
    assert pieces_of("a") == ["\x02a\x02"]


def test_shared_pieces_have_weight_and_those_of_one_word_none():
    pieces, weights = piece_table(WORDS, FREQUENCY, len(WORDS) + 1, BUCKETS)
    assert pieces.shape == weights.shape == (len(WORDS) + 1, PER_WORD)
    sets = [set(row[row < BUCKETS]) for row in pieces]
    assert len(sets[2] & sets[3]) > 8
    assert not sets[2] & sets[5]
    np.testing.assert_allclose(np.linalg.norm(weights[2:5], axis=1), 1, rtol=1e-6)
    # Special words, words without relatives, a word that is not in the train split, no word.
    for lonely in (0, 1, 5, 6, 7, 8):
        assert not sets[lonely]
        assert not weights[lonely].any()


def test_a_long_word_keeps_its_rarest_pieces():
    long = "abcdefghijklmnopqrstuvwxyz"
    words = ("[PAD]", "[UNK]", long, long + "s", "abcdef")
    pieces, weights = piece_table(words, np.array([0, 0, 1, 1, 50]), 5, BUCKETS)
    assert (pieces[2] < BUCKETS).all()
    assert not set(pieces[2]) & set(pieces[4])
    assert (np.diff(weights[2]) <= 0).all()


def test_the_frequency_of_words_counts_movies():
    tokens = np.array([[2, 2, 3, 0], [1, 2, 0, 0]])
    np.testing.assert_array_equal(word_frequency(tokens, np.array([3, 2]), 5), [0, 0, 2, 1, 0])


def test_a_word_learns_from_its_relatives_alone():
    pieces, weights = piece_table(WORDS, FREQUENCY, len(WORDS), BUCKETS)
    module = NGramLogits(len(WORDS), 16, 0.0, num_genres=2, piece_buckets=BUCKETS)
    rows = jnp.zeros(1, jnp.int32)

    def logits(params: dict, word: int) -> jax.Array:
        tokens, length = jnp.array([[word, 0]]), jnp.array([1])
        return module.apply({"params": params}, tokens, length, rows, deterministic=True)

    start = jnp.zeros((1, 2), jnp.int32)
    params = module.init(jax.random.key(0), start, rows + 1, rows, deterministic=True)["params"]
    params |= {"pieces": jnp.asarray(pieces), "piece_weights": jnp.asarray(weights)}
    gradients = jax.grad(lambda params: logits(params, 3)[0, 0, 1])(params)
    assert not any(np.asarray(gradients[name]).any() for name in ("pieces", "piece_weights", "idf"))
    params |= {n: params[n] + gradients[n] for n in ("table", "piece_table")}
    learned = [float(logits(params, word)[0, 0, 1]) for word in range(2, 6)]
    assert learned[1] > learned[0] > 1  # The word itself most, its relative much,
    assert learned[2] > 1
    assert learned[3] == 0  # another word nothing.
    assert not np.asarray(logits(params, 3))[0, 1].any()  # Nor does padding.
