"""What `config.model.lstm_kernel` becomes on a machine; cuDNN's order of weights."""

import dataclasses
import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from mmgenre.config import ModelConfig
from mmgenre.errors import UserError
from mmgenre.kernels import (
    cuda_compiler,
    cuda_launch,
    cudnn_lstm,
    lstm_choice,
    plain_kernels,
    wavefront_lstm,
    wavefront_trial,
)
from mmgenre.kernels.lstm import lstm_stack
from mmgenre.machine import devices
from mmgenre.models import fusion
from tests.kernels import cuda_on_cpu
from tests.kernels.test_lstm import make_inputs, make_layers

KERNELS = ("auto", "scan", "cudnn", "wavefront")
A100, A10, L4, H100, B200, T4 = (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (7, 5)


def method_of(kernel: str, units: int = 64, dtype: str = "float32") -> str:
    return lstm_choice.method_of(kernel, (units,), dtype)


def test_cudnn_is_given_the_same_layer():
    """By the reference that `jax.experimental.rnn` has for its packed weights."""
    x, (layer,) = make_inputs(3, 7, 12), make_layers(12, (5,))
    sizes = (12, 5, 1, False)
    weights = cudnn_lstm.pack(*layer)
    assert weights.shape == (rnn.get_num_params_in_lstm(*sizes),)
    zeros = jnp.zeros((1, 3, 5))
    lengths = jnp.full(3, 7, jnp.int32)
    outputs, _, _ = rnn.lstm_ref(
        x, zeros, zeros, *rnn.unpack_lstm_weights(weights, *sizes), lengths, 12, 5, 1, 0.0, False
    )
    np.testing.assert_allclose(outputs, lstm_stack(x, [layer], method="plain"), atol=1e-6)


def test_without_a_gpu_its_kernels_are_not_used_and_not_trained_with():
    assert [method_of(k) for k in KERNELS] == ["auto", "plain", "auto", "auto"]
    with plain_kernels.kernels():
        assert method_of("scan") == "auto"
    lstm_choice.require_kernel(ModelConfig(lstm_kernel="scan"))
    lstm_choice.require_kernel(ModelConfig(lstm_kernel="wavefront", use_overview=False))
    with pytest.raises(
        UserError, match="'wavefront', which needs an NVIDIA GPU, but JAX finds only 'cpu'"
    ):
        lstm_choice.require_kernel(ModelConfig(lstm_kernel="wavefront"))


@pytest.mark.parametrize(
    ("units", "dtype", "cards"),
    [
        *((units, "bfloat16", ()) for units in (8, 24, 80, 128)),
        (80, "float32", ()),
        *(
            (units, dtype, (A100, A10, L4, H100, B200))
            for units in (16, 48, 64)
            for dtype in ("bfloat16", "float32")
        ),
    ],
)
def test_two_layers_must_fit_into_the_registers_and_shared_memory_of_a_card(units, dtype, cards):
    for card in (A100, A10, L4, H100, B200, T4):
        assert wavefront_lstm.supports(units, dtype, card) == (card in cards), card


@pytest.fixture
def on_an_l4(monkeypatch):
    monkeypatch.setattr(devices, "compute_capability", lambda: L4)
    monkeypatch.setattr(cudnn_lstm, "is_there", lambda: True)
    wavefront_trial._trial.cache_clear()
    lstm_choice._say_once.cache_clear()
    yield
    wavefront_trial._trial.cache_clear()
    lstm_choice._say_once.cache_clear()


def test_what_settings_are_on_a_gpu(on_an_l4, monkeypatch):
    monkeypatch.setattr(wavefront_trial, "_try", lambda units, dtype: None)
    assert [method_of(k) for k in KERNELS] == ["cudnn", "plain", "cudnn", "wavefront"]
    assert method_of("wavefront", 128) == "cudnn"  # A model that was trained elsewhere.
    message = "multiples of 16 units, at most 64 in float32 on this GPU .*8.9., not 128"
    with pytest.raises(UserError, match=message):
        lstm_choice.require_kernel(ModelConfig(lstm_kernel="wavefront", lstm_units=(64, 128)))
    monkeypatch.setattr(cudnn_lstm, "is_there", lambda: False)
    assert [method_of(k) for k in KERNELS] == ["plain", "plain", "plain", "wavefront"]


def test_without_a_compiler_a_line_says_so_and_cudnn_is_taken(on_an_l4, monkeypatch, caplog):
    monkeypatch.setattr(cuda_compiler, "_nvrtc", lambda: None)
    monkeypatch.setattr(cuda_compiler.shutil, "which", lambda name: None)
    cuda_compiler.to_ptx.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert [method_of("wavefront") for _ in range(3)] == ["cudnn"] * 3
    finally:
        cuda_compiler.to_ptx.cache_clear()
    (line,) = caplog.messages
    assert 'as by "auto", not by "wavefront": neither NVRTC (pip install' in line
    assert "\n" not in line
    lstm_choice.require_kernel(ModelConfig(lstm_kernel="wavefront"))  # No mistake of the user's.


def test_a_model_can_be_told_its_kernel(on_an_l4, monkeypatch):
    """What a GPU would run, on the CPU."""
    config = ModelConfig(
        vocabulary_size=50, embedding_size=8, lstm_units=(16, 16), use_poster=False
    )
    batch, generator = fusion.example_batch(3, 6), np.random.default_rng(0)
    model = fusion.build(config)
    with plain_kernels.kernels():
        shapes = jax.eval_shape(
            functools.partial(model.init, deterministic=True), jax.random.key(0), batch
        )
    variables = jax.tree.map(lambda x: generator.normal(size=x.shape).astype(x.dtype) / 9, shapes)

    def logits(model: fusion.FusionModel) -> jax.Array:
        apply = functools.partial(model.apply, deterministic=True)
        with jax.default_matmul_precision("highest"):
            return jax.jit(apply)(variables, batch)

    with plain_kernels.kernels():
        expected = logits(model)
    launched = []

    def launch(kernel, blocks, operands, results):
        launched.append((kernel.name, operands[1].shape))
        return cuda_on_cpu.launch(kernel, blocks, operands, results)

    monkeypatch.setattr(cuda_launch, "launch", launch)
    monkeypatch.setattr(wavefront_trial, "_try", lambda units, dtype: None)
    other = fusion.build(dataclasses.replace(config, lstm_kernel="wavefront"))
    np.testing.assert_allclose(logits(other), expected, atol=1e-6)
    assert launched == [("lstm_forward", (6, 8, 64))]
