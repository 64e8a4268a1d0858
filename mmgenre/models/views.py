"""The model taken apart: what each branch says alone, and what the fusion makes of both.

A half is withheld as a movie that lacks it is read: no poster is all zeros, no overview is one
padding token. So "the poster alone" is the model's answer for a movie without an overview, not that
of another model. Where all movies of the train split have an overview, as they do by default,
training has never seen such a movie.
"""

from typing import Any, Final

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgenre import schema
from mmgenre.models import poster_statistics
from mmgenre.models.fusion import STATISTICS, Batch, FusionModel
from mmgenre.models.overview_lstm import OverviewLSTM
from mmgenre.models.poster_cnn import normalize_posters

BOTH: Final = "both"
POSTER_ALONE: Final = "poster alone"
OVERVIEW_ALONE: Final = "overview alone"
VIEWS: Final = (BOTH, POSTER_ALONE, OVERVIEW_ALONE)
"""The views of a movie, in the order of `view_logits`."""


def poster_features(model: FusionModel, params: Any, posters: jax.Array) -> list[jax.Array]:
    """Returns [features <float32>[batch, n]] of posters <float32>[batch, 64, 64, 3] in [0, 1].

    An empty list where the model has no such branch.
    """
    if model.poster_cnn is None:
        return []
    rows = jnp.arange(len(posters))
    return [_apply(model.poster_cnn, params["poster_cnn"], posters, rows, deterministic=True)]


def overview_features(
    model: FusionModel, params: Any, embeddings: jax.Array, lengths: jax.Array
) -> list[jax.Array]:
    """Returns [features <float32>[batch, n]] of `embed`ded words; empty without such a branch."""
    if model.overview_lstm is None:
        return []
    rows = jnp.arange(len(embeddings))
    return [
        _apply(
            model.overview_lstm,
            params["overview_lstm"],
            embeddings,
            lengths,
            rows,
            deterministic=True,
            method=OverviewLSTM.from_embeddings,
        )
    ]


def embed(model: FusionModel, params: Any, tokens: jax.Array) -> jax.Array:
    """Returns the embeddings <float32>[batch, time, n] of tokens; n is 0 without a text branch."""
    if model.overview_lstm is None:
        return jnp.zeros((*tokens.shape, 0))
    branch, its_params = model.overview_lstm, params["overview_lstm"]
    return _apply(branch, its_params, tokens, method=OverviewLSTM.embed)


def ngram_logits(
    model: FusionModel, params: Any, tokens: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Returns each word's own logits <float32>[batch, time, genres]; zeros where there are none."""
    if model.ngram_logits is None:
        return jnp.zeros((*tokens.shape, model.num_genres))
    branch, its_params, rows = model.ngram_logits, params["ngram_logits"], jnp.arange(len(tokens))
    return _apply(branch, its_params, tokens, lengths, rows, deterministic=True)


def vector_logits(model: FusionModel, params: Any, batch: Batch) -> dict[str, jax.Array]:
    """Returns the logits <float32>[batch, genres] of each vector, by feature; none without any.

    A poster's statistics are one more vector, `fusion.STATISTICS`.
    """
    logits = {
        name: _apply(part, params[name], batch[name], batch[schema.ROW], deterministic=True)
        for name, part in model.vector_parts.items()
    }
    if model.poster_statistics is not None:
        vectors = poster_statistics.poster_statistics(batch[schema.POSTER])
        part, its_params = model.poster_statistics, params[STATISTICS]
        logits[STATISTICS] = _apply(
            part, its_params, vectors, batch[schema.ROW], deterministic=True
        )
    return logits


def head_logits(model: FusionModel, params: Any, features: list[jax.Array]) -> jax.Array:
    """Returns the logits <float32>[batch, genres] of the features of both branches, poster first.

    Without those of words, pairs and vectors, which are added to them.
    """
    rows = jnp.arange(len(features[0]))
    return _apply(model.head, params["head"], features, rows, deterministic=True)[0]


def _apply(part: nn.Module, params: Any, *arguments: Any, **options: Any) -> Any:
    """Runs a part of a model by itself."""
    return part.clone(parent=None).apply({"params": params}, *arguments, **options)


def view_logits(model: FusionModel, params: Any, batch: Batch) -> jax.Array:
    """Returns the logits <float32>[batch, 3, genres] of each view of `VIEWS`, in one pass."""
    # What stands for a missing half rides along as one more movie, and is then repeated: so each
    # branch is compiled once.
    posters = jnp.pad(normalize_posters(batch[schema.POSTER]), ((0, 1), (0, 0), (0, 0), (0, 0)))
    tokens = jnp.pad(batch[schema.TOKENS], ((0, 1), (0, 0)), constant_values=schema.PAD_ID)
    lengths = jnp.pad(batch[schema.LENGTH], (0, 1), constant_values=1)
    poster_rows = poster_features(model, params, posters)
    overview_rows = overview_features(model, params, embed(model, params, tokens), lengths)
    poster, overview = [x[:-1] for x in poster_rows], [x[:-1] for x in overview_rows]
    repeat = [jnp.broadcast_to(x[-1:], x[:-1].shape) for x in poster_rows]
    repeat_text = [jnp.broadcast_to(x[-1:], x[:-1].shape) for x in overview_rows]
    words = ngram_logits(model, params, batch[schema.TOKENS], batch[schema.LENGTH]).sum(axis=1)
    vectors = vector_logits(model, params, batch)
    from_poster = vectors.get(schema.POSTER_VECTOR, 0) + vectors.get(STATISTICS, 0)
    from_overview = words + vectors.get(schema.OVERVIEW_VECTOR, 0)
    views = (
        head_logits(model, params, poster + overview) + from_poster + from_overview,
        head_logits(model, params, poster + repeat_text) + from_poster,
        head_logits(model, params, repeat + overview) + from_overview,
    )
    return jnp.stack(views, axis=1)
