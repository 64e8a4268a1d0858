"""The training step of a GPU, lowered for CUDA without one: nothing serial, nothing too precise."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from mmgenre import schema
from mmgenre.config import Config, ModelConfig
from mmgenre.distributed import device_mapping
from mmgenre.models import fusion
from mmgenre.training.learner import Learner

TRITON = "__gpu$xla.gpu.triton"
LOOP = "stablehlo.while"


def lowered(model: ModelConfig) -> str:
    """The step of one device as StableHLO."""
    learner = Learner(Config(model=model), num_steps=1)
    state = jax.eval_shape(learner.create_state, learner.init_key)
    batch = jax.eval_shape(lambda: fusion.example_batch(256, 64))
    mesh = Mesh(np.asarray(jax.devices()[:1]), (device_mapping.AXIS,))
    step = jax.shard_map(
        learner.train_step,
        mesh=mesh,
        in_specs=(P(), P(device_mapping.AXIS)),
        out_specs=P(),
        check_vma=False,
    )
    exported = jax.export.export(
        jax.jit(step),
        platforms=["cuda"],
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(TRITON)],
    )
    return exported(state, batch).mlir_module()


def operands(module: str, operation: str) -> list[tuple[str, str]]:
    """The types of both operands of each such operation, such as "256x512xbf16"."""
    return re.findall(rf"stablehlo\.{operation}\b.*: \(tensor<(\S+)>, tensor<(\S+)>\)", module)


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    """Of each LSTM kernel."""
    model = ModelConfig(compute_dtype="bfloat16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        return {
            kernel: lowered(dataclasses.replace(model, lstm_kernel=kernel))
            for kernel in ("scan", "pallas")
        }


def test_a_sequence_is_one_launch_with_pallas(modules):
    assert LOOP in modules["scan"] and TRITON not in modules["scan"]
    assert LOOP not in modules["pallas"] and TRITON in modules["pallas"]


def test_the_gradient_of_pooling_is_not_the_slow_one_of_xla(modules):
    assert "select_and_scatter" not in modules["pallas"]


def test_all_products_but_those_of_the_logits_are_of_bfloat16(modules):
    convolutions = operands(modules["pallas"], "convolution")
    products = operands(modules["pallas"], "dot_general")
    assert convolutions and products
    for types in (*convolutions, *products):
        if not all(type_.endswith("xbf16") for type_ in types):
            assert all(type_.endswith("xf32") for type_ in types), types
            assert any(str(schema.NUM_GENRES) in type_.split("x") for type_ in types), types
