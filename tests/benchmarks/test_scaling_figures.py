"""docs/scaling.md says what the code does: the bytes that a step all-reduces."""

import jax
import numpy as np
import pytest

from benchmarks.scaling import load_config
from mmgenre.distributed import device_mapping
from mmgenre.models.fusion import example_batch
from mmgenre.training.learner import Learner
from tests.commands import ROOT


@pytest.mark.parametrize("name", ["model0", "model1", "model2"])
def test_bytes_of_a_step(name):
    config = load_config(str(ROOT / "configs" / f"{name}.py"))
    learner = Learner(config, num_steps=1)
    state = jax.eval_shape(learner.create_state, learner.init_key)
    trace = jax.make_jaxpr(learner.train_step, axis_env=[(device_mapping.AXIS, 2)])
    jaxpr = trace(state, example_batch(2, 8))
    parameters = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))
    reduced = sum(
        4 * int(np.prod(variable.aval.shape))
        for equation in jaxpr.eqns
        if equation.primitive.name.startswith("psum")
        for variable in equation.invars
    )
    assert 4 * parameters <= reduced <= 4 * parameters + 100, "gradients and a few counts"
    document = (ROOT / "docs" / "scaling.md").read_text()
    title = name.replace("model", "Model ")
    assert f"| {title} | {parameters:,} | {4 * parameters / 1e6:.1f} MB |" in document
    nvlink, infiniband, ethernet = (
        1000 * 2 * 7 / 8 * 4 * parameters / bandwidth for bandwidth in (350e9, 45e9, 10e9)
    )
    assert f"| {title} | {nvlink:.2f} ms | {infiniband:.1f} ms | {ethernet:.1f} ms |" in document
