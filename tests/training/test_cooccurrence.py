"""Word vectors from the company of words."""

import numpy as np

from mmgenre.training import cooccurrence


def test_words_of_the_same_company_get_similar_vectors():
    generator = np.random.default_rng(0)
    # Words 2 to 5 and 6 to 9 never meet; 10 is alone, 1 is the unknown word.
    topics = np.array(
        [generator.permutation([*topic, 1]) for topic in [[2, 3, 4, 5], [6, 7, 8, 9]] * 30]
    )
    tokens = np.concatenate([topics, [[10, 0, 0, 0, 0]]]).astype(np.int32)
    lengths = np.array([5] * len(topics) + [1])
    vectors = cooccurrence.word_vectors(tokens, lengths, 12, 2)
    assert not vectors[[0, 1, 10, 11]].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[2:10], axis=1), 1, rtol=1e-5)
    similarity = vectors[2:10] @ vectors[2:10].T
    same = np.kron(np.eye(2), np.ones((4, 4))).astype(bool)
    assert similarity[same].min() > 0.9 > 0.1 > similarity[~same].max()
    np.testing.assert_array_equal(vectors, cooccurrence.word_vectors(tokens, lengths, 12, 2))
