"""The parts that Model 2 adds: word pairs, pooling, summed log-odds, changed posters, vectors."""

import collections
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import model2
from mmgenre import schema
from mmgenre.config import Config, ModelConfig
from mmgenre.dataset.random_streams import init_key
from mmgenre.errors import UserError
from mmgenre.kernels import plain_kernels
from mmgenre.models import fusion
from mmgenre.models import views as branches
from mmgenre.models.ngram_logits import NGramLogits, inverse_document_frequency, ngrams
from mmgenre.models.overview_lstm import AttentionPooling
from mmgenre.models.poster_cnn import augment_posters
from mmgenre.prediction import attribution
from mmgenre.training import cooccurrence, initial_values, optimizer
from mmgenre.training.state import TrainState

VOCABULARY, BUCKETS = 12, 64
TOKENS = np.array([[2, 3, 2, 3, 4, 0, 0], [5, 2, 3, 7, 8, 9, 3], [0, 0, 0, 0, 0, 0, 0]], np.int32)
LENGTHS = np.array([5, 7, 1], np.int32)


def small_model() -> ModelConfig:
    config = Config.from_config_dict(model2.get_config("trial")).model
    return dataclasses.replace(config, vocabulary_size=VOCABULARY, embedding_size=6)


def batch_of(tokens: np.ndarray, lengths: np.ndarray, seed: int = 0) -> dict[str, jax.Array]:
    posters = np.random.default_rng(seed).integers(0, 256, (len(tokens), 64, 64, 3), np.uint8)
    return {
        **fusion.example_batch(len(tokens)),
        schema.POSTER: jnp.asarray(posters),
        schema.TOKENS: jnp.asarray(tokens),
        schema.LENGTH: jnp.asarray(lengths),
    }


def random_params(model: fusion.FusionModel) -> dict:
    params = model.init(init_key(1), fusion.example_batch(), deterministic=True)["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    drawn = [x + 0.2 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, drawn)


def test_ngram_logits_are_tfidf_by_hand():
    idf = inverse_document_frequency(TOKENS, LENGTHS, VOCABULARY, BUCKETS)
    # Words 2 and 3 and their pair are in two of the three movies, the others in one.
    words, pairs = (np.asarray(x) for x in ngrams(TOKENS, VOCABULARY, BUCKETS))
    expected = math.log(4 / 3) + 1
    np.testing.assert_allclose(idf[[2, 3, pairs[0, 0], pairs[1, 1]]], expected, rtol=1e-6)
    assert idf[5] == idf[9] == 0
    table = np.random.default_rng(0).normal(size=(len(idf), schema.NUM_GENRES)).astype(np.float32)
    module = NGramLogits(VOCABULARY, BUCKETS, dropout_rate=0.5)
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


def test_attention_is_a_weighted_mean_of_words_only():
    words = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3)), jnp.float32)
    pooling = AttentionPooling(heads=2)
    kernel = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    params = {"Dense_0": {"kernel": kernel, "bias": np.array([0.5, 1.0], np.float32)}}
    pooled = pooling.apply({"params": params}, words, jnp.array([2, 5]))
    first = np.asarray(words[0, :2])
    weights = np.exp(first @ kernel)
    heads = (weights / weights.sum(axis=0)).T @ first
    expected = np.concatenate([first.sum(axis=0) / math.sqrt(2), 4 * heads.ravel()])
    np.testing.assert_allclose(pooled[0], expected, rtol=1e-5)
    changed = pooling.apply({"params": params}, words.at[0, 2:].set(9), jnp.array([2, 5]))
    np.testing.assert_array_equal(pooled, changed)


def test_posters_are_changed_by_their_row_and_missing_ones_stay_missing():
    key, rows = jax.random.key(0), jnp.arange(6)
    posters = jax.random.uniform(jax.random.key(1), (6, 64, 64, 3)).at[2].set(0)
    changed = augment_posters(key, rows, posters)
    assert changed.shape == posters.shape and not changed[2].any()
    assert changed.min() >= 0 and changed.max() <= 1
    np.testing.assert_array_equal(changed[3:], augment_posters(key, rows[3:], posters[3:]))
    # Each is the poster itself, maybe mirrored, shifted by up to 4 pixels, times one factor.
    posters, changed = np.asarray(posters), np.asarray(changed)
    for row in (0, 1, 3, 4, 5):
        middle = changed[row, 8:56, 8:56]
        ratios = []
        for image in (posters[row], posters[row, :, ::-1]):
            for dy in range(-4, 5):
                for dx in range(-4, 5):
                    piece = image[8 + dy : 56 + dy, 8 + dx : 56 + dx]
                    below = middle < 0.999
                    ratios.append(np.std((middle / np.maximum(piece, 1e-3))[below & (piece > 0.1)]))
        assert min(ratios) < 1e-3


def test_views_are_the_model_with_a_half_withheld():
    model = fusion.build(small_model())
    params, batch = random_params(model), batch_of(TOKENS, LENGTHS)
    with plain_kernels.kernels():  # The fast ones take long to compile.
        views = jax.jit(functools.partial(branches.view_logits, model))(params, batch)
        apply = jax.jit(
            functools.partial(model.apply, deterministic=True, method=model.logits_and_terms)
        )
    nothing = {schema.TOKENS: jnp.zeros_like(batch[schema.TOKENS]), schema.LENGTH: jnp.ones(3, int)}
    withheld = (
        batch,
        batch | nothing,
        batch | {schema.POSTER: jnp.zeros_like(batch[schema.POSTER])},
    )
    for number, one in enumerate(withheld):
        with plain_kernels.kernels():
            logits, terms = apply({"params": params}, one)
        np.testing.assert_allclose(views[:, number], logits, atol=1e-4)
        bias = params["head"]["bias"]
        np.testing.assert_allclose(sum(t - bias for t in terms) + bias, logits, atol=1e-4)


def test_attributions_of_words_hold_their_pairs_too():
    model = fusion.build(small_model())
    params, batch = random_params(model), batch_of(TOKENS[1:2], LENGTHS[1:2])
    (found,) = attribution.attribute(model, params, batch, [4], num_tokens=7)
    logits = model.apply({"params": params}, batch, deterministic=True)
    assert found.logit == pytest.approx(float(logits[0, 4]), abs=1e-4)
    assert found.complete


def test_words_get_plain_descent_and_the_rest_adam():
    config = dataclasses.replace(
        Config(), model=dataclasses.replace(Config().model, ngram_buckets=8), weight_decay=0.1
    )
    params = {
        "ngram_logits": {"table": jnp.ones((2, 2))},
        "head": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    }
    tx = optimizer.build(config)
    grads = jax.tree.map(lambda x: 1e-3 * x, params)
    updates, _ = tx.update(grads, tx.init(params), params)
    after = optax.apply_updates(params, updates)
    np.testing.assert_allclose(after["ngram_logits"]["table"], 1 - 10 * 1e-3, rtol=1e-5)
    np.testing.assert_allclose(after["head"]["bias"], 1 - 1e-3, rtol=1e-3)
    np.testing.assert_allclose(after["head"]["kernel"], 1 - 1e-3 * (1 + 0.1), rtol=1e-4)


def test_embeddings_have_a_rate_of_their_own():
    config = dataclasses.replace(Config(), embedding_learning_rate=0.1)
    params = {"overview_lstm": {"embedding": {"embedding": jnp.ones(2)}, "bias": jnp.ones(2)}}
    tx = optimizer.build(config)
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(updates["overview_lstm"]["bias"], -1e-3, rtol=1e-3)
    np.testing.assert_allclose(updates["overview_lstm"]["embedding"]["embedding"], -1e-4, rtol=1e-3)


def test_the_learning_rate_rises_and_falls():
    config = dataclasses.replace(Config(), learning_rate_schedule="cosine")
    tx = optimizer.build(config, num_steps=100)
    params, sizes = {"w": jnp.zeros(1)}, []
    state = tx.init(params)
    for _ in range(101):
        updates, state = tx.update({"w": jnp.ones(1)}, state, params)
        sizes.append(-float(updates["w"][0]))
    assert sizes[0] == 0 and np.argmax(sizes) == 5
    assert sizes[5] == pytest.approx(1e-3, rel=1e-3)
    assert sizes[-1] == pytest.approx(2e-5, rel=1e-2)


def test_given_parameters_replace_the_drawn_ones(tiny_dataset, tiny_config):
    model_config = dataclasses.replace(small_model(), vocabulary_size=20_000, word_vectors="")
    config = dataclasses.replace(tiny_config, model=model_config)
    given = initial_values.from_data(config, tiny_dataset)
    assert set(given) == {("head", "bias"), ("ngram_logits", "idf")}
    train = tiny_dataset.split(schema.TRAIN)
    share = train.genre_counts[3] / train.num_movies
    assert given["head", "bias"][3] == pytest.approx(math.log(share / (1 - share)), abs=0.05)
    assert np.isfinite(given["head", "bias"]).all()
    state = TrainState.create(
        fusion.build(model_config), optimizer.build(config), init_key(0), given
    )
    np.testing.assert_array_equal(state.params["head"]["bias"], given["head", "bias"])
    np.testing.assert_array_equal(state.params["ngram_logits"]["idf"], given["ngram_logits", "idf"])


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


def test_a_model_starts_from_the_company_of_its_words(tiny_dataset, tiny_config):
    model_config = dataclasses.replace(tiny_config.model, word_vectors="cooccurrence")
    config = dataclasses.replace(tiny_config, model=model_config)
    given = initial_values.from_data(config, tiny_dataset)
    (embedding,) = given.values()
    assert embedding.shape == (model_config.vocabulary_size, model_config.embedding_size)
    assert np.isfinite(embedding).all() and embedding.std() > 0


def test_word_vectors_are_found_by_word(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("3 2\nship 1 2\nunseen 5 5\nsea -3 0.5\n")
    words = ("[PAD]", "[UNK]", "sea", "ship")
    vectors = initial_values.read_word_vectors(path, words, 2)
    assert {n: v.tolist() for n, v in vectors.items()} == {3: [1, 2], 2: [-3, 0.5]}
    embedding = initial_values.embedding_of(vectors, 5, 2, seed=0)
    assert embedding.shape == (5, 2)
    np.testing.assert_allclose(embedding[3] / embedding[2, 1], [2, 4], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt((embedding[2:4] ** 2).mean()), 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ship 1 2 3\n", "line 1: 3 values, but config.model.embedding_size is 2"),
        (b"ship 1 x\n", "no text file of word vectors"),
        (b"\xff\xfe\x00\x01", "no text file of word vectors"),
        (b"unseen 1 2\n", "none of the tokenizer's words"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_of_vectors(content, message, tmp_path):
    path = tmp_path / "vectors.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        initial_values.read_word_vectors(path, ("[PAD]", "[UNK]", "sea", "ship"), 2)
