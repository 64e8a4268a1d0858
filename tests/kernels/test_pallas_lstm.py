"""The kernels for GPUs, by Pallas' interpreter and lowered for CUDA; cuDNN's order of weights."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from mmgenre.config import ModelConfig
from mmgenre.errors import UserError
from mmgenre.kernels import cudnn_lstm, lstm_choice, pallas_lstm, plain_kernels
from mmgenre.kernels.lstm import lstm_stack
from mmgenre.machine import devices
from mmgenre.models import fusion
from tests.kernels.test_lstm import make_inputs, make_layers

UNITS = 16
KERNEL = pallas_lstm.layer  # A test puts something else into its place.


def plain(x, *layer):
    return lstm_stack(x, [layer], method="plain", time_major=True)


def interpreted(x, *layer):
    return KERNEL(x, *layer, 16, True)


def last_outputs_and_gradients(run, x, layer, last):
    """As the model uses a layer: each movie's output at its own last token alone."""

    def total(x, layer):
        outputs = run(x, *layer)
        weights = jnp.cos(jnp.arange(outputs[0].size)).reshape(outputs[0].shape)
        return (outputs[last, jnp.arange(len(last))] * weights).sum(), outputs

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(x, layer)


@pytest.mark.parametrize(("batch", "time"), [(5, 1), (37, 6)])
def test_forward_and_gradients_are_those_of_the_scan(batch, time):
    """Batches that are less than a block, and not a multiple of one."""
    x = make_inputs(time, batch, 12)  # Time first.
    (layer,) = make_layers(12, (UNITS,))
    last = np.random.default_rng(0).integers(0, time, batch)
    (_, expected), expected_gradients = last_outputs_and_gradients(plain, x, layer, last)
    (_, outputs), gradients = last_outputs_and_gradients(interpreted, x, layer, last)
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    for a, e in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected_gradients), strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5 * max(1.0, np.abs(e).max()))


def test_every_output_may_have_a_gradient():
    """As between two layers; the batch is two blocks."""
    x, layers = make_inputs(6, 32, 8), make_layers(8, (UNITS, UNITS))

    def total(layers, run):
        outputs = run(run(x, *layers[0]), *layers[1])
        return (outputs * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)).sum()

    gradient = jax.jit(jax.grad(total), static_argnums=1)
    expected, actual = gradient(layers, plain), gradient(layers, interpreted)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5 * max(1.0, np.abs(e).max()))


def test_bfloat16_is_close_to_float32():
    x, (layer,) = make_inputs(24, 16, 32), make_layers(32, (UNITS,))
    last = np.full(16, 23)
    (_, expected), expected_gradients = last_outputs_and_gradients(plain, x, layer, last)
    for run in (plain, interpreted):
        (_, outputs), gradients = last_outputs_and_gradients(
            run, jnp.asarray(x, jnp.bfloat16), layer, last
        )
        assert outputs.dtype == jnp.bfloat16
        np.testing.assert_allclose(outputs.astype(jnp.float32), expected, atol=0.03)
        leaves = zip(*map(jax.tree.leaves, (gradients, expected_gradients)), strict=True)
        dtypes = [jnp.bfloat16, jnp.float32, jnp.float32, jnp.float32]
        for (a, e), dtype in zip(leaves, dtypes, strict=True):
            assert a.dtype == dtype
            assert cosine(a, e) > 0.999


def cosine(a, b) -> float:
    a, b = (np.asarray(x, np.float64).ravel() for x in (a, b))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_kernels_lower_for_cuda(dtype):
    """Through Pallas' Triton backend, which needs no GPU to do so; sizes are the model's."""
    x = jax.ShapeDtypeStruct((64, 250, 128), dtype)
    layer = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((128, 256), (64, 256), (256,))]

    def total(x, layer):
        return pallas_lstm.layer(x, *layer).astype(jnp.float32).sum()

    exported = jax.export.export(
        jax.jit(jax.grad(total, (0, 1))),
        platforms=["cuda"],
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.triton")],
    )(x, layer)
    module = exported.mlir_module()
    for name in ("forward_kernel", "backward_kernel"):
        assert name in module


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
    assert [method_of(k) for k in KERNELS] == [
        "auto",
        "plain",
        "auto",
        "auto",
    ]
    with plain_kernels.kernels():
        assert method_of("scan") == "auto"
    lstm_choice.require_kernel(ModelConfig(lstm_kernel="scan"))
    lstm_choice.require_kernel(ModelConfig(lstm_kernel="pallas", use_overview=False))
    with pytest.raises(
        UserError, match="'pallas', which needs an NVIDIA GPU, but JAX finds only 'cpu'"
    ):
        lstm_choice.require_kernel(ModelConfig(lstm_kernel="pallas"))


KERNELS = ("auto", "scan", "cudnn", "pallas")
A100, A10, L4, H100, B200, T4 = (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (7, 5)


def method_of(kernel: str, units: int = 64, dtype: str = "float32") -> str:
    return lstm_choice.method_of(kernel, (units,), dtype)


@pytest.mark.parametrize(
    ("units", "dtype", "cards"),
    [
        *((units, "bfloat16", ()) for units in (8, 48, 256)),
        (16, "float32", (A100, A10, L4, H100, B200)),
        (64, "bfloat16", (A100, A10, L4, H100, B200)),
        (64, "float32", (A100, A10, L4, H100, B200)),
        (128, "bfloat16", (H100, B200)),
        (128, "float32", ()),  # Its weights alone take 256 KiB.
    ],
)
def test_a_layer_must_fit_into_the_shared_memory_of_the_card(units, dtype, cards):
    for card in (A100, A10, L4, H100, B200, T4):
        assert pallas_lstm.supports(units, dtype, card) == (card in cards), card


def test_what_auto_is_on_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "compute_capability", lambda: L4)
    assert [method_of(k) for k in KERNELS] == ["pallas", "plain", "pallas", "pallas"]
    assert method_of("auto", 128) == "plain"  # Without cuDNN, and the fused kernel does not fit.
    monkeypatch.setattr(cudnn_lstm, "is_there", lambda: True)
    assert [method_of(k) for k in KERNELS] == ["cudnn", "plain", "cudnn", "pallas"]
    assert method_of("pallas", 128) == "cudnn"  # A model that was trained on a larger card.
    message = "for 128 in float32 303104 bytes of shared memory; .* 8.9, gives 101376"
    with pytest.raises(UserError, match=message):
        lstm_choice.require_kernel(ModelConfig(lstm_kernel="pallas", lstm_units=(64, 128)))


def test_a_model_can_be_told_its_kernel(monkeypatch):
    """What a GPU would run, with the interpreter in the kernel's place."""
    config = ModelConfig(
        vocabulary_size=50, embedding_size=8, lstm_units=(16, 16), use_poster=False
    )
    batch, generator = fusion.example_batch(3, 6), np.random.default_rng(0)
    model = fusion.build(config)
    shapes = jax.eval_shape(
        functools.partial(model.init, deterministic=True), jax.random.key(0), batch
    )
    variables = jax.tree.map(lambda x: generator.normal(size=x.shape).astype(x.dtype) / 9, shapes)

    def logits(model: fusion.FusionModel) -> jax.Array:
        apply = functools.partial(model.apply, deterministic=True)
        return jax.jit(apply)(variables, batch)

    expected, launched = logits(model), []

    def layer(*arguments):
        launched.append(arguments[0].shape)
        return interpreted(*arguments)

    monkeypatch.setattr(pallas_lstm, "layer", layer)
    monkeypatch.setattr(devices, "compute_capability", lambda: H100)
    other = fusion.build(dataclasses.replace(config, lstm_kernel="pallas"))
    np.testing.assert_allclose(logits(other), expected, atol=1e-6)
    assert launched == [(6, 3, 8), (6, 3, 16)]
