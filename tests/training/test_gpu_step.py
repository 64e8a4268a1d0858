"""What a GPU would be given as a training step, lowered for CUDA without one."""

import functools
import re

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from mmgenre.config import Config, ModelConfig
from mmgenre.dataset import random_streams
from mmgenre.distributed import device_mapping
from mmgenre.models import fusion
from mmgenre.training import optimizer, train_step
from mmgenre.training.state import TrainState

TRITON = "__gpu$xla.gpu.triton"


def test_a_step_in_bfloat16_with_pallas_has_nothing_serial_in_it(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    config = Config(model=ModelConfig(compute_dtype="bfloat16", lstm_kernel="pallas"))
    model, tx = fusion.build(config.model), optimizer.build(config)
    create = functools.partial(TrainState.create, model, tx)
    state = jax.eval_shape(create, random_streams.init_key(0))
    batch = jax.eval_shape(functools.partial(fusion.example_batch, 256, 64))
    step = functools.partial(
        train_step.train_step,
        model=model,
        optimizer=tx,
        dropout_key=random_streams.stream_key(0, random_streams.DROPOUT),
    )
    mesh = Mesh(np.asarray(jax.devices()[:1]), (device_mapping.AXIS,))
    mapped = jax.shard_map(
        step, mesh=mesh, in_specs=(P(), P(device_mapping.AXIS)), out_specs=P(), check_vma=False
    )
    exported = jax.export.export(
        jax.jit(mapped),
        platforms=["cuda"],
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(TRITON)],
    )(state, batch)
    module = exported.mlir_module()
    assert module.count(TRITON) == 4  # Two layers, forward and backward.
    assert "stablehlo.while" not in module
    assert "select_and_scatter" not in module  # XLA's gradient of max pooling.
    operands = r"stablehlo\.{}.*: \(tensor<[^>]*x(\w+)>, tensor<[^>]*x(\w+)>\)"
    convolutions = re.findall(operands.format("convolution"), module)
    assert convolutions == [("bf16", "bf16")] * 11  # Four; each twice backward, but the first.
    products = re.findall(operands.format("dot_general"), module)
    assert products.count(("f32", "f32")) == 3  # The logits and their gradients.
    assert set(products) == {("bf16", "bf16"), ("f32", "f32")}
