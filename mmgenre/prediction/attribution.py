"""Attribution of the model's answer to words and pixels: integrated gradients.

Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (2017). The path leads from a
movie about which nothing is known (a black poster, as for movies without one, and padding in place
of each word) to the movie, along a straight line in pixels and word embeddings at once. The
attributions of all words and pixels add up to the difference of the two logits: the check of
completeness, which tells how far the sum over steps is from the integral. The logits of words and
word pairs (`NGramLogits`) are a sum over the words already: each word's part needs no path.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre import schema
from mmgenre.kernels import plain_kernels
from mmgenre.models import views
from mmgenre.models.fusion import Batch, FusionModel
from mmgenre.models.poster_cnn import normalize_posters

_CHUNK: Final = 16
"""Steps of the path that are computed at once."""

_STEPS: Final = (64, 256, 1024)
"""Steps are added until the attributions are complete to `_TOLERANCE`."""

_TOLERANCE: Final = 0.02
"""The largest gap, as a share of the difference that is to be explained."""


@dataclasses.dataclass(frozen=True)
class Attribution:
    """What raises and lowers one genre's logit.

    Attributes:
      genre: its index.
      words: <float32>[num_tokens], each word's part.
      pixels: <float32>[64, 64], each pixel's part, summed over the colours.
      logit: of the movie.
      baseline_logit: where nothing is known.
      num_steps: of the path.
      vectors: the part of each frozen encoder's vector, by feature, and of the poster's statistics,
        `fusion.STATISTICS`; none without either. It is
        a term of the sum, and needs no path.
    """

    genre: int
    words: np.ndarray
    pixels: np.ndarray
    logit: float
    baseline_logit: float
    num_steps: int
    vectors: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def gap(self) -> float:
        """What the attributions fall short of the difference, or exceed it by, in logits."""
        difference = self.logit - self.baseline_logit
        parts = self.words.sum(dtype=np.float64) + self.pixels.sum(dtype=np.float64)
        return float(parts) + sum(self.vectors.values()) - float(difference)

    @property
    def relative_gap(self) -> float:
        """The gap's size as a share of the difference, which counts as at least 0.1."""
        return abs(self.gap) / max(abs(self.logit - self.baseline_logit), 0.1)

    @property
    def complete(self) -> bool:
        """Whether the check of completeness is passed."""
        return self.relative_gap <= _TOLERANCE


def attribute(
    model: FusionModel,
    params: Any,
    batch: Mapping[str, np.ndarray],
    genres: list[int],
    num_tokens: int,
) -> list[Attribution]:
    """Attributes one movie's logits.

    Args:
      model: the model.
      params: its parameters.
      batch: of this one movie, as `GenrePredictor.batch` makes it.
      genres: the genres to explain.
      num_tokens: words of the overview; 0 where there is none.

    Returns:
      An attribution for each of `genres`.
    """
    functions = _compiled(model)
    poster, embeddings, blank, length = functions.inputs(params, batch)
    ends = functions.ends(params, poster, embeddings, blank, length)
    ngrams = np.asarray(functions.ngrams(params, batch))
    baseline_logits, logits = (np.asarray(end) for end in ends)
    vectors = {n: np.asarray(rows)[0] for n, rows in functions.vectors(params, batch).items()}
    logits = logits + ngrams.sum(axis=0) + sum(vectors.values())
    results: dict[int, Attribution] = {}
    for num_steps in _STEPS:
        remaining = [g for g in genres if g not in results or not results[g].complete]
        for genre in remaining:
            pixels, words = _integrate(
                functions, params, poster, embeddings, blank, length, genre, num_steps
            )
            words = words + ngrams[:, genre]
            results[genre] = Attribution(
                genre=genre,
                words=words[:num_tokens] if num_tokens else words[:0],
                pixels=pixels,
                logit=float(logits[genre]),
                baseline_logit=float(baseline_logits[genre]),
                num_steps=num_steps,
                vectors={name: float(row[genre]) for name, row in vectors.items()},
            )
    return [results[genre] for genre in genres]


@dataclasses.dataclass(frozen=True)
class _Functions:
    inputs: Any
    ngrams: Any
    ends: Any
    gradients: Any
    vectors: Any


@functools.cache
def _compiled(model: FusionModel) -> _Functions:
    """Returns the compiled functions of a model, which compile once for each overview length."""

    def inputs(params: Any, batch: Batch) -> tuple[jax.Array, ...]:
        embeddings = views.embed(model, params, batch[schema.TOKENS])
        blank = views.embed(model, params, jnp.full((1, 1), schema.PAD_ID, jnp.int32))
        poster = normalize_posters(batch[schema.POSTER])
        return poster[0], embeddings[0], blank[0], batch[schema.LENGTH]

    def ngrams(params: Any, batch: Batch) -> jax.Array:
        tokens, lengths = batch[schema.TOKENS], batch[schema.LENGTH]
        return views.ngram_logits(model, params, tokens, lengths)[0]

    def vectors(params: Any, batch: Batch) -> dict[str, jax.Array]:
        return views.vector_logits(model, params, batch)

    def logits(
        params: Any, posters: jax.Array, embeddings: jax.Array, length: jax.Array
    ) -> jax.Array:
        lengths = jnp.broadcast_to(length, len(posters))
        # The fast kernels' gradients take half a minute to compile, for which a page of one movie
        # is not worth it.
        with plain_kernels.kernels():
            poster = views.poster_features(model, params, posters)
            overview = views.overview_features(model, params, embeddings, lengths)
        return views.head_logits(model, params, poster + overview)

    def ends(params: Any, poster: Any, embeddings: Any, blank: Any, length: Any) -> jax.Array:
        posters = jnp.stack([jnp.zeros_like(poster), poster])
        texts = jnp.stack([jnp.broadcast_to(blank, embeddings.shape), embeddings])
        return logits(params, posters, texts, length)

    def gradients(
        params: Any,
        poster: Any,
        embeddings: Any,
        blank: Any,
        length: Any,
        genre: Any,
        positions: Any,
    ) -> tuple[jax.Array, jax.Array]:
        """Sums the gradients at the positions <float32>[n] in [0, 1] of the path."""

        def genre_logit(posters: jax.Array, texts: jax.Array) -> jax.Array:
            return logits(params, posters, texts, length)[:, genre].sum()

        share = positions[:, None, None]
        posters = share[..., None] * poster[None]
        texts = blank[None] + share * (embeddings - blank)[None]
        by_posters, by_texts = jax.grad(genre_logit, argnums=(0, 1))(posters, texts)
        return by_posters.sum(axis=0), by_texts.sum(axis=0)

    return _Functions(
        jax.jit(inputs), jax.jit(ngrams), jax.jit(ends), jax.jit(gradients), jax.jit(vectors)
    )


def _integrate(
    functions: _Functions,
    params: Any,
    poster: jax.Array,
    embeddings: jax.Array,
    blank: jax.Array,
    length: jax.Array,
    genre: int,
    num_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each pixel's part <float32>[64, 64] and each position's <float32>[time]."""
    # The middle of each step: exact for functions that are quadratic within a step.
    positions = ((np.arange(num_steps) + 0.5) / num_steps).astype(np.float32)
    by_poster = np.zeros(poster.shape, np.float64)
    by_text = np.zeros(embeddings.shape, np.float64)
    for start in range(0, num_steps, _CHUNK):
        part = functions.gradients(
            params, poster, embeddings, blank, length, genre, positions[start : start + _CHUNK]
        )
        by_poster += np.asarray(part[0])
        by_text += np.asarray(part[1])
    pixels = (np.asarray(poster) * by_poster / num_steps).sum(axis=-1)
    words = (np.asarray(embeddings - blank) * by_text / num_steps).sum(axis=-1)
    return pixels.astype(np.float32), words.astype(np.float32)
