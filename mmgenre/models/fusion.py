"""The whole model: the features of both branches, fused into a logit for each genre."""

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre import schema
from mmgenre.config import ModelConfig
from mmgenre.kernels import dense, plain_kernels
from mmgenre.models import poster_statistics
from mmgenre.models.dropout import RowDropout
from mmgenre.models.ngram_logits import NGramLogits
from mmgenre.models.overview_lstm import OverviewLSTM
from mmgenre.models.poster_cnn import PosterCNN, normalize_posters
from mmgenre.models.vector_logits import VectorLogits

Batch = dict[str, jax.Array]
"""A batch by the names of its features: see `mmgenre.schema` for shapes and dtypes."""

ParamPath = tuple[str, ...]
"""The names on the way from the root of a tree of parameters to one of them."""

EMBEDDING: Final[ParamPath] = ("overview_lstm", "embedding", "embedding")
NGRAM_TABLE: Final[ParamPath] = ("ngram_logits", "table")
NGRAM_IDF: Final[ParamPath] = ("ngram_logits", "idf")
PIECE_TABLE: Final[ParamPath] = ("ngram_logits", "piece_table")
PIECES: Final[ParamPath] = ("ngram_logits", "pieces")
PIECE_WEIGHTS: Final[ParamPath] = ("ngram_logits", "piece_weights")
STATISTICS: Final = "poster_statistics"
"""The parameters of the network on a poster's statistics, and the name of its evidence."""

HEAD_BIAS: Final[ParamPath] = ("head", "bias")
"""The parameters that start or learn in a way of their own; the bias is that of `SumHead`."""


class Evidence(NamedTuple):
    """What the logits of a model with a `SumHead` are the sum of.

    Attributes:
      bias: <float32>[genres].
      poster: what each part says that sees the poster, <float32>[batch, genres] each.
      overview: the same of the overview.
    """

    bias: jax.Array
    poster: list[jax.Array]
    overview: list[jax.Array]


class FusionModel(nn.Module):
    """Genre logits from a poster and an overview.

    Attributes:
      poster_cnn: the poster's branch; None where it is cut off.
      overview_lstm: the overview's branch; None where it is cut off.
      head: fuses their features.
      ngram_logits: logits of words and pairs that are added to the head's; None for none.
      product_precision: see `ModelConfig`.
      poster_vector: logits of the vector of a frozen encoder of posters, added; None for none.
      overview_vector: the same of overviews.
      poster_statistics: logits of a poster's `poster_statistics`, added; None for none.
    """

    poster_cnn: PosterCNN | None
    overview_lstm: OverviewLSTM | None
    head: "DenseHead | SumHead"
    ngram_logits: NGramLogits | None = None
    product_precision: str = "default"
    poster_vector: VectorLogits | None = None
    overview_vector: VectorLogits | None = None
    poster_statistics: VectorLogits | None = None

    @property
    def vector_parts(self) -> dict[str, VectorLogits]:
        """The parts that take a vector, by its feature."""
        parts = {
            schema.POSTER_VECTOR: self.poster_vector,
            schema.OVERVIEW_VECTOR: self.overview_vector,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def vector_sizes(self) -> dict[str, int]:
        """The vectors that a batch must have, by feature, and their sizes."""
        return {name: part.size for name, part in self.vector_parts.items()}

    @property
    def num_genres(self) -> int:
        """How many logits a movie gets."""
        return self.head.num_genres

    def __call__(self, batch: Batch, *, deterministic: bool) -> jax.Array:
        """Returns the logits <float32>[batch, genres].

        Args:
          batch: "poster" <uint8>[batch, 64, 64, 3], "tokens" <int32>[batch, time], "length"
            <int32>[batch], "row" <int32>[batch], and vectors <float16>[batch, size] as
            `vector_sizes` says; see `mmgenre.schema`.
          deterministic: True turns dropout off; False needs a "dropout" stream.
        """
        return self.logits_and_evidence(batch, deterministic=deterministic)[0]

    def logits_and_evidence(
        self, batch: Batch, *, deterministic: bool
    ) -> tuple[jax.Array, Evidence | None]:
        """Returns the logits, and what they are the sum of; None where a `DenseHead` fuses."""
        rows = batch[schema.ROW]
        tokens, lengths = batch[schema.TOKENS], batch[schema.LENGTH]
        features: list[jax.Array] = []
        of_poster: list[jax.Array] = []
        of_overview: list[jax.Array] = []
        if self.poster_cnn is not None:
            posters = normalize_posters(batch[schema.POSTER])
            features.append(self.poster_cnn(posters, rows, deterministic=deterministic))
        if self.overview_lstm is not None:
            features.append(self.overview_lstm(tokens, lengths, rows, deterministic=deterministic))
        if self.ngram_logits is not None:
            words = self.ngram_logits(tokens, lengths, rows, deterministic=deterministic)
            of_overview.append(words.sum(axis=1))
        if self.poster_statistics is not None:
            statistics = poster_statistics.poster_statistics(batch[schema.POSTER])
            of_poster.append(self.poster_statistics(statistics, rows, deterministic=deterministic))
        for name, part in self.vector_parts.items():
            vector = part(batch[name], rows, deterministic=deterministic)
            (of_poster if name == schema.POSTER_VECTOR else of_overview).append(vector)
        logits, terms = self.head(features, rows, deterministic=deterministic)
        logits = sum(of_poster + of_overview, logits)
        if not terms:
            return logits, None
        if self.overview_lstm is not None:
            of_overview.append(terms[-1])
        if self.poster_cnn is not None:
            of_poster.append(terms[0])
        return logits, Evidence(self.head.bias(), of_poster, of_overview)


class DenseHead(nn.Module):
    """The features side by side, dense layers with ReLU and dropout, then one logit a genre.

    Attributes:
      num_genres: logits.
      units: units of each dense layer.
      dropout_rate: after each of them.
      dtype: that all but the logits are computed in; parameters are float32.
    """

    num_genres: int
    units: tuple[int, ...]
    dropout_rate: float
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: list[jax.Array], rows: jax.Array, *, deterministic: bool
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Returns logits <float32>[batch, genres] of features <float32>[batch, n], and no terms."""
        x = jnp.concatenate(features, axis=-1)
        for units in self.units:
            layer = nn.Dense(
                units,
                dtype=self.dtype,
                kernel_init=nn.initializers.glorot_uniform(),
                **dense.options(self.dtype),
            )
            x = nn.relu(layer(x)).astype(self.dtype)
            x = RowDropout(self.dropout_rate)(x, rows, deterministic=deterministic)
        logits = nn.Dense(
            self.num_genres,
            dtype=jnp.float32,
            precision="highest",  # On a GPU float32, not TensorFloat-32.
            kernel_init=nn.initializers.glorot_uniform(),
            name="logits",
        )
        return logits(x), []


class SumHead(nn.Module):
    """A logit of each branch and a bias, added up: log-odds of independent evidence.

    What a branch says about a movie whose other half is missing is what it would say anyway; the
    missing half adds a constant that is learned from the movies that lack it.

    Attributes:
      num_genres: logits.
      num_branches: features that come in.
      dropout_rate: on each branch's features.
    """

    num_genres: int
    num_branches: int
    dropout_rate: float

    def setup(self) -> None:
        """Names the parts."""
        initial = nn.initializers.normal(stddev=0.01)
        self.terms = [
            nn.Dense(self.num_genres, kernel_init=initial, use_bias=False, precision="highest")
            for _ in range(self.num_branches)
        ]
        self.dropout = RowDropout(self.dropout_rate)
        self.genre_bias = self.param("bias", nn.initializers.zeros, (self.num_genres,))

    def __call__(
        self, features: list[jax.Array], rows: jax.Array, *, deterministic: bool
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Returns logits <float32>[batch, genres] and what each branch adds to the bias in them."""
        parts = [
            term(self.dropout(x, rows, deterministic=deterministic))
            for term, x in zip(self.terms, features, strict=True)
        ]
        return sum(parts) + self.genre_bias, parts

    def bias(self) -> jax.Array:
        """The logits <float32>[genres] where nothing is known."""
        return self.genre_bias


def build(
    config: ModelConfig,
    num_genres: int = schema.NUM_GENRES,
    vector_sizes: Mapping[str, int] = MappingProxyType({}),
) -> FusionModel:
    """Returns the model that a config describes.

    Args:
      config: the architecture.
      num_genres: of the data set: a logit for each.
      vector_sizes: of the data set's vectors, by feature; used as `config.use_vectors` says.
    """
    dtype = jnp.dtype(config.compute_dtype)
    poster_cnn = PosterCNN(
        filters=config.cnn_filters,
        dropout_rate=config.cnn_dropout,
        features=config.poster_features,
        dtype=dtype,
        augment=config.augment_posters,
    )
    overview_lstm = OverviewLSTM(
        vocabulary_size=config.vocabulary_size,
        embedding_size=config.embedding_size,
        embedding_stddev=config.embedding_stddev,
        units=config.lstm_units,
        dropout_rate=config.lstm_dropout,
        features=config.overview_features,
        dtype=dtype,
        lstm_kernel=config.lstm_kernel,
        pooling=config.overview_pooling,
        attention_heads=config.attention_heads,
        word_dropout_rate=config.word_dropout,
        embedding_dropout_rate=config.embedding_dropout,
    )
    ngram_logits = NGramLogits(
        vocabulary_size=config.vocabulary_size,
        buckets=config.ngram_buckets,
        dropout_rate=config.ngram_dropout,
        num_genres=num_genres,
        piece_buckets=config.piece_buckets,
    )
    head: SumHead | DenseHead
    if config.fusion == "sum":
        num_branches = config.use_poster + config.use_overview
        head = SumHead(num_genres, num_branches, config.head_dropout)
    else:
        head = DenseHead(num_genres, config.head_units, config.head_dropout, dtype)
    dropout = {
        schema.POSTER_VECTOR: config.poster_vector_dropout,
        schema.OVERVIEW_VECTOR: config.overview_vector_dropout,
    }
    vectors = {
        name: VectorLogits(size, config.vector_units, dropout[name], num_genres)
        for name, size in (vector_sizes if config.use_vectors else {}).items()
    }
    statistics = VectorLogits(
        poster_statistics.SIZE,
        config.poster_statistics_units,
        config.poster_statistics_dropout,
        num_genres,
    )
    return FusionModel(
        poster_cnn=poster_cnn if config.use_poster else None,
        overview_lstm=overview_lstm if config.use_overview else None,
        head=head,
        ngram_logits=ngram_logits if config.ngram_buckets else None,
        product_precision=config.product_precision,
        poster_vector=vectors.get(schema.POSTER_VECTOR) if config.use_poster else None,
        overview_vector=vectors.get(schema.OVERVIEW_VECTOR) if config.use_overview else None,
        poster_statistics=statistics if config.poster_statistics_units else None,
    )


def products_of(model: FusionModel) -> contextlib.AbstractContextManager[Any]:
    """Traces what is within with the products' precision that a model is to be computed in.

    Gradients included: whoever differentiates a model does so within.
    """
    if model.product_precision == "default":
        return contextlib.nullcontext()
    return jax.default_matmul_precision(model.product_precision)


def init_params(model: FusionModel, key: jax.Array) -> Any:
    """Returns a model's parameters, drawn from a PRNG key."""
    with plain_kernels.kernels():  # Its logits are not computed.
        batch = example_batch(vector_sizes=model.vector_sizes)
        return model.init(key, batch, deterministic=True)["params"]


def example_batch(
    batch_size: int = 1,
    num_tokens: int = 1,
    num_genres: int = schema.NUM_GENRES,
    vector_sizes: Mapping[str, int] = MappingProxyType({}),
) -> Batch:
    """Returns a batch of empty movies, of the types that batches have: see `mmgenre.schema`."""
    return {
        schema.POSTER: jnp.zeros((batch_size, *schema.POSTER_SHAPE), jnp.uint8),
        schema.TOKENS: jnp.full((batch_size, num_tokens), schema.PAD_ID, jnp.int32),
        schema.LENGTH: jnp.ones(batch_size, jnp.int32),
        schema.LABELS: jnp.zeros((batch_size, num_genres), jnp.uint8),
        schema.ROW: jnp.arange(batch_size, dtype=jnp.int32),
        schema.MASK: jnp.ones(batch_size, jnp.float32),
        **{n: jnp.zeros((batch_size, size), jnp.float16) for n, size in vector_sizes.items()},
    }
