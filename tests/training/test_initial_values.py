"""Parameters that start from data: frequencies, and word vectors from a file or from the split."""

import dataclasses
import math

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.models import fusion
from mmgenre.training import initial_values, word_vectors
from mmgenre.training.learner import Learner
from tests.commands import run_module
from tests.small_model2 import small_model


def test_given_parameters_replace_the_drawn_ones(tiny_dataset, tiny_config):
    model_config = dataclasses.replace(small_model(), vocabulary_size=20_000, word_vectors="")
    config = dataclasses.replace(tiny_config, model=model_config)
    given = initial_values.from_data(config, tiny_dataset)
    statistics = {(fusion.STATISTICS, name) for name in ("mean", "scale")}
    pieces = {fusion.PIECES, fusion.PIECE_WEIGHTS}
    assert set(given) == {fusion.HEAD_BIAS, fusion.NGRAM_IDF} | pieces | statistics
    train = tiny_dataset.split(schema.TRAIN)
    share = train.genre_counts[3] / train.num_movies
    assert given[fusion.HEAD_BIAS][3] == pytest.approx(math.log(share / (1 - share)), abs=0.05)
    assert np.isfinite(given[fusion.HEAD_BIAS]).all()
    learner = Learner(config, num_steps=1)
    drawn, state = (flatten_dict(learner.initial_state(g).params) for g in (None, given))
    assert state.keys() == drawn.keys()
    for path, values in state.items():
        np.testing.assert_array_equal(values, given.get(path, drawn[path]))
        assert values.sharding == drawn[path].sharding


@pytest.mark.parametrize(
    ("path", "shape"), [(("head", "slope"), (18,)), (fusion.HEAD_BIAS, (17,)), (("head",), (18,))]
)
def test_a_value_for_no_parameter_is_refused(path, shape, tiny_config):
    learner = Learner(dataclasses.replace(tiny_config, model=small_model()), num_steps=1)
    with pytest.raises(ValueError, match="head"):
        learner.initial_state({path: np.zeros(shape, np.float32)})


def test_a_model_starts_from_the_company_of_its_words(tiny_dataset, tiny_config):
    model_config = dataclasses.replace(tiny_config.model, word_vectors="cooccurrence")
    config = dataclasses.replace(tiny_config, model=model_config)
    given = initial_values.from_data(config, tiny_dataset)
    (embedding,) = given.values()
    assert embedding.shape == (model_config.vocabulary_size, model_config.embedding_size)
    assert np.isfinite(embedding).all() and embedding.std() > 0


def test_word_vectors_are_found_by_word(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("5 2\n. . . 7 7\nship 1 2\nunseen 5 5\nship 1 at 3 4\nsea -3 0.5\n")
    words = ("[PAD]", "[UNK]", "sea", "ship")
    vectors = word_vectors.read(path, words, 2)
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
        (b"ship 1 nan\n", "a value is not finite"),
        (b". . . 1 2 3\nship 1 2 3\n", "line 2: 3 values, but config.model.embedding_size is 2"),
        (b"", "it has no lines"),
        (b"3 2\n", "it has no lines"),
        (b"prose\n", "line 1 has no values"),
        (b"unseen 1 2\n" * 1000 + b"ship 1\n", "line 1001: 1 values instead of 2"),
        (b"unseen 1 2\n", "none of the tokenizer's words"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_of_vectors(content, message, tmp_path):
    path = tmp_path / "vectors.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        word_vectors.read(path, ("[PAD]", "[UNK]", "sea", "ship"), 2)


def test_a_bad_file_is_refused_before_anything_is_compiled(tiny_dataset, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("ship 1 2 3\n")
    dataset, workdir = f"--config.data.dir={tiny_dataset.path}", f"--workdir={tmp_path / 'run'}"
    vectors = f"--config.model.word_vectors={path}"
    process = run_module("mmgenre.main", "--config=model2:trial", dataset, workdir, vectors)
    assert process.returncode == 2
    assert "line 1: 3 values, but config.model.embedding_size is" in process.stderr
