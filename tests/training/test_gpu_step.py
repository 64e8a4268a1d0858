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
from mmgenre.kernels import cuda_compiler, cuda_launch
from mmgenre.machine import devices
from mmgenre.models import fusion
from mmgenre.training.learner import Learner
from tests.kernels.cuda_on_cpu import has_compiler

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
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(cuda_launch.TARGET)],
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
        patch.setattr(devices, "compute_capability", lambda: (9, 0))
        if not has_compiler():  # What it would make of the kernels is not looked at here.
            patch.setattr(cuda_compiler, "to_ptx", lambda source, defines: "")
        return {
            kernel: lowered(dataclasses.replace(model, lstm_kernel=kernel))
            for kernel in ("scan", "wavefront")
        }


def test_a_sequence_is_one_launch_with_the_wavefront(modules):
    assert LOOP in modules["scan"] and cuda_launch.TARGET not in modules["scan"]
    assert LOOP not in modules["wavefront"] and cuda_launch.TARGET in modules["wavefront"]


def test_the_gradient_of_pooling_is_not_the_slow_one_of_xla(modules):
    assert "select_and_scatter" not in modules["wavefront"]


def products(module: str) -> list[str]:
    """The lines of all matrix products."""
    return re.findall(r"stablehlo\.dot_general .*", module)


@pytest.mark.parametrize(
    "shape", ["2048x512", "530x512", "512x256", "18x256", "64x18", "128x256", "64x256"]
)
def test_gradients_of_parameters_leave_their_product_in_float32(modules, shape):
    """A product whose result has a kernel's shape is its gradient, summed over the batch."""
    lines = [line for line in products(modules["wavefront"]) if f"-> tensor<{shape}x" in line]
    assert lines
    assert all(f"-> tensor<{shape}xf32>" in line for line in lines)


def test_products_of_logits_are_of_the_highest_precision(modules):
    lines = products(modules["wavefront"])
    of_float32 = [line for line in lines if "xf32>, tensor" in line]
    assert len(of_float32) == 3  # Forward, and the gradients of both factors.
    assert [line for line in lines if "[HIGHEST, HIGHEST]" in line] == of_float32


def test_the_precision_of_all_products_is_a_setting():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        module = lowered(ModelConfig(product_precision="highest", lstm_kernel="scan"))
    lines = [*products(module), *re.findall(r"stablehlo\.convolution.*", module)]
    assert len(lines) > 20
    assert [line for line in lines if "HIGHEST" not in line] == []


def test_all_products_but_those_of_the_logits_are_of_bfloat16(modules):
    convolutions = operands(modules["wavefront"], "convolution")
    products = operands(modules["wavefront"], "dot_general")
    assert convolutions and products
    for types in (*convolutions, *products):
        if not all(type_.endswith("xbf16") for type_ in types):
            assert all(type_.endswith("xf32") for type_ in types), types
            assert any(str(schema.NUM_GENRES) in type_.split("x") for type_ in types), types
