"""The model taken apart: what each branch says alone, and what the fusion makes of both.

A half is withheld as training withholds it from movies that lack it: no poster is all zeros, no
overview is one padding token. So "the poster alone" is the model's answer for a movie without an
overview, not that of another model.
"""

from typing import Any, Final

import jax
import jax.numpy as jnp

from mmgenre import schema
from mmgenre.models.fusion import Batch, FusionModel
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
    variables = {"params": params["poster_cnn"]}
    rows = jnp.arange(len(posters))
    return [model.poster_cnn.clone(parent=None).apply(variables, posters, rows, deterministic=True)]


def overview_features(
    model: FusionModel, params: Any, embeddings: jax.Array, lengths: jax.Array
) -> list[jax.Array]:
    """Returns [features <float32>[batch, n]] of `embed`ded words; empty without such a branch."""
    if model.overview_lstm is None:
        return []
    branch = model.overview_lstm.clone(parent=None)
    variables = {"params": params["overview_lstm"]}
    rows = jnp.arange(len(embeddings))
    return [
        branch.apply(
            variables,
            embeddings,
            lengths,
            rows,
            deterministic=True,
            method=branch.from_embeddings,
        )
    ]


def embed(model: FusionModel, params: Any, tokens: jax.Array) -> jax.Array:
    """Returns the embeddings <float32>[batch, time, n] of tokens; n is 0 without a text branch."""
    if model.overview_lstm is None:
        return jnp.zeros((*tokens.shape, 0))
    branch = model.overview_lstm.clone(parent=None)
    return branch.apply({"params": params["overview_lstm"]}, tokens, method=branch.embed)


def ngram_logits(
    model: FusionModel, params: Any, tokens: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Returns each word's own logits <float32>[batch, time, 18]; zeros where there are none."""
    if model.ngram_logits is None:
        return jnp.zeros((*tokens.shape, schema.NUM_GENRES))
    branch = model.ngram_logits.clone(parent=None)
    variables = {"params": params["ngram_logits"]}
    return branch.apply(variables, tokens, lengths, jnp.arange(len(tokens)), deterministic=True)


def head_logits(model: FusionModel, params: Any, features: list[jax.Array]) -> jax.Array:
    """Returns the logits <float32>[batch, 18] of the features of both branches, poster first.

    Without those of words and pairs, which are added to them.
    """
    head = model.head.clone(parent=None)
    rows = jnp.arange(len(features[0]))
    return head.apply({"params": params["head"]}, features, rows, deterministic=True)[0]


def view_logits(model: FusionModel, params: Any, batch: Batch) -> jax.Array:
    """Returns the logits <float32>[batch, 3, 18] of each view of `VIEWS`, in one pass."""
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
    views = (
        head_logits(model, params, poster + overview) + words,
        head_logits(model, params, poster + repeat_text),
        head_logits(model, params, repeat + overview) + words,
    )
    return jnp.stack(views, axis=1)
