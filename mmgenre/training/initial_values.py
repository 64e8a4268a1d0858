"""Parameters that start from data instead of at random: genre frequencies, word weights, vectors.

Everything here comes from the train split and from files that the user names; nothing from
validation or test.
"""

import logging
from collections.abc import Mapping
from typing import Final

import jax
import numpy as np

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.models import fusion, ngram_logits, poster_statistics, vector_logits, word_pieces
from mmgenre.training import cooccurrence, word_vectors

_log = logging.getLogger(__name__)

_EMBEDDING_SCALE = 0.1
"""Root mean square of the word vectors: what random embeddings of such models have."""


_POSTERS: Final = 4096
"""Of these mean and deviation are taken: more do not change them."""

_POSTERS_AT_ONCE: Final = 128


def from_data(config: Config, dataset: PreparedDataset) -> dict[fusion.ParamPath, np.ndarray]:
    """Returns parameters by their path in the tree, <float32>, for `Learner.initial_state`.

    Raises:
      UserError: the file of word vectors cannot be read or does not fit the model.
    """
    given: dict[fusion.ParamPath, np.ndarray] = {}
    model = config.model
    if model.fusion == "sum":
        given[fusion.HEAD_BIAS] = genre_log_odds(dataset)
    if model.ngram_buckets or (model.use_overview and model.word_vectors == cooccurrence.NAME):
        length = config.data.max_tokens
        tokens = read_split(dataset, schema.TRAIN, schema.TOKENS, max_tokens=length)[schema.TOKENS]
        lengths = np.minimum(dataset.index(schema.TRAIN).num_tokens, length)
    if model.ngram_buckets:
        given[fusion.NGRAM_IDF] = ngram_logits.inverse_document_frequency(
            tokens, lengths, model.vocabulary_size, model.ngram_buckets
        )
    if model.piece_buckets:
        words = OverviewTokenizer.load(dataset.tokenizer_path).words
        given[fusion.PIECES], given[fusion.PIECE_WEIGHTS] = word_pieces.piece_table(
            words,
            ngram_logits.word_frequency(tokens, lengths, model.vocabulary_size),
            model.vocabulary_size,
            model.piece_buckets,
        )
    for name in dataset.info.vector_sizes if model.use_vectors else ():
        if model.use_poster if name == schema.POSTER_VECTOR else model.use_overview:
            vectors_of_split = read_split(dataset, schema.TRAIN, name)[name]
            mean, scale = vector_logits.standardisation(vectors_of_split)
            given |= {(name, "mean"): mean, (name, "scale"): scale}
    if model.poster_statistics_units:
        mean, scale = vector_logits.standardisation(_some_statistics(dataset))
        given |= {(fusion.STATISTICS, "mean"): mean, (fusion.STATISTICS, "scale"): scale}
    if model.word_vectors and model.use_overview:
        if model.word_vectors == cooccurrence.NAME:
            rows = cooccurrence.word_vectors(
                tokens, lengths, model.vocabulary_size, model.embedding_size
            )
            vectors = {number: row for number, row in enumerate(rows) if row.any()}
        else:
            words = OverviewTokenizer.load(dataset.tokenizer_path).words
            vectors = word_vectors.read(model.word_vectors, words, model.embedding_size)
        _log.info("word vectors (%s): %d words have one", model.word_vectors, len(vectors))
        if vectors:
            given[fusion.EMBEDDING] = embedding_of(
                vectors, model.vocabulary_size, model.embedding_size, config.seed
            )
    return given


def _some_statistics(dataset: PreparedDataset) -> np.ndarray:
    """Returns the statistics <float32>[posters, n] of some thousand posters of the train split."""
    movies = np.flatnonzero(read_split(dataset, schema.TRAIN, schema.HAS_POSTER)[schema.HAS_POSTER])
    some = movies[np.linspace(0, len(movies) - 1, min(len(movies), _POSTERS)).astype(int)]
    statistics = jax.jit(poster_statistics.poster_statistics)
    rows = [np.zeros((0, poster_statistics.SIZE), np.float32)]
    for start in range(0, len(some), _POSTERS_AT_ONCE):
        chunk = some[start : start + _POSTERS_AT_ONCE]
        posters = read_split(dataset, schema.TRAIN, schema.POSTER, movies=chunk)[schema.POSTER]
        missing = _POSTERS_AT_ONCE - len(chunk)  # Of one shape, to be compiled once.
        whole = np.pad(posters, ((0, missing), (0, 0), (0, 0), (0, 0)))
        rows.append(np.asarray(statistics(whole))[: len(chunk)])
    return np.concatenate(rows)


def genre_log_odds(dataset: PreparedDataset) -> np.ndarray:
    """Returns the log-odds of each genre in the train split, <float32>[genres]; finite always."""
    train = dataset.split(schema.TRAIN)
    counts = np.asarray(train.genre_counts, np.float64)
    return np.log((counts + 0.5) / (train.num_movies - counts + 0.5)).astype(np.float32)


def embedding_of(
    vectors: Mapping[int, np.ndarray], vocabulary_size: int, size: int, seed: int
) -> np.ndarray:
    """Returns an embedding <float32>[vocabulary_size, size]: the vectors, random where none is."""
    generator = np.random.default_rng(seed)
    embedding = generator.normal(0, _EMBEDDING_SCALE, (vocabulary_size, size)).astype(np.float32)
    rows = np.stack(list(vectors.values()))
    embedding[list(vectors)] = rows * (_EMBEDDING_SCALE / np.sqrt((rows**2).mean()))
    return embedding
