"""Views of a model: its answers with one half of a movie withheld."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mmgenre import schema
from mmgenre.kernels import plain_kernels
from mmgenre.models import fusion, views
from tests.small_model2 import LENGTHS, TOKENS, batch_of, random_params, small_model


def test_views_are_the_model_with_a_half_withheld():
    model = fusion.build(small_model())
    params, batch = random_params(model), batch_of(TOKENS, LENGTHS)
    with plain_kernels.kernels():  # The fast ones take long to compile.
        found = jax.jit(functools.partial(views.view_logits, model))(params, batch)
        apply = jax.jit(
            functools.partial(model.apply, deterministic=True, method=model.logits_and_evidence)
        )
    nothing = {schema.TOKENS: jnp.zeros_like(batch[schema.TOKENS]), schema.LENGTH: jnp.ones(3, int)}
    withheld = (
        batch,
        batch | nothing,
        batch | {schema.POSTER: jnp.zeros_like(batch[schema.POSTER])},
    )
    for number, one in enumerate(withheld):
        with plain_kernels.kernels():
            logits, evidence = apply({"params": params}, one)
        np.testing.assert_allclose(found[:, number], logits, atol=1e-4)
        added = sum(evidence.poster) + sum(evidence.overview)
        np.testing.assert_allclose(added + params["head"]["bias"], logits, atol=1e-4)
