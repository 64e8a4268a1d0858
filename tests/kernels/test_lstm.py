"""Every way to compute the LSTM stack gives the same function as a scanned cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgenre.kernels.lstm import lstm_stack


def make_layers(features: int, units: tuple[int, ...], seed: int = 0):
    rng = np.random.default_rng(seed)
    layers = []
    for count in units:
        shapes = ((features, 4 * count), (count, 4 * count), (4 * count,))
        layers.append(
            tuple((0.3 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes)
        )
        features = count
    return layers


def make_inputs(batch: int, time: int, features: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((batch, time, features)).astype(np.float32)


def outputs_and_gradients(inputs, layers, masks, method):
    def total(inputs, layers):
        outputs = lstm_stack(inputs, layers, masks, method=method)
        weights = jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)
        return (outputs * weights).sum(), outputs

    return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(inputs, layers)


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 2), (7, 33), (250, 5), (2, 128)])
def test_fused_gates_matches_plain(batch, time):
    inputs, layers = make_inputs(batch, time, 12), make_layers(12, (8, 8))
    rng = np.random.default_rng(3)
    masks = [(rng.random((batch, time, 8)) < 0.7).astype(np.float32) / 0.7, None]
    expected, expected_outputs = outputs_and_gradients(inputs, layers, masks, "plain")
    actual, outputs = outputs_and_gradients(inputs, layers, masks, "fused_gates")
    np.testing.assert_allclose(outputs, expected_outputs, atol=2e-6)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5 * max(1.0, np.abs(e).max()))


def test_the_last_output_alone_has_the_right_gradient():
    """As the model uses it: the output at each movie's last token, of lengths that differ."""
    inputs, layers = make_inputs(4, 9, 6), make_layers(6, (5, 5))
    last = np.array([0, 8, 3, 5])

    def feature(layers, method):
        return (lstm_stack(inputs, layers, method=method)[np.arange(4), last] ** 2).sum()

    gradients = [jax.grad(feature)(layers, method) for method in ("plain", "fused_gates")]
    for e, a in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, e, atol=2e-6)


def test_padding_after_the_last_token_changes_nothing():
    layers = make_layers(6, (5, 5))
    inputs = make_inputs(3, 12, 6)
    short = lstm_stack(inputs[:, :7], layers, method="fused_gates")
    inputs[:, 7:] = 100.0
    np.testing.assert_allclose(
        lstm_stack(inputs, layers, method="fused_gates")[:, :7], short, atol=1e-6
    )


@pytest.mark.parametrize("method", ["plain", "fused_gates"])
def test_time_major_is_a_transposition(method):
    inputs, layers = make_inputs(3, 5, 6), make_layers(6, (4, 4))
    mask = (np.random.default_rng(0).random((3, 5, 4)) < 0.5).astype(np.float32)
    batch_major = lstm_stack(inputs, layers, [mask, mask], method=method)
    swapped = mask.swapaxes(0, 1)
    time_major = lstm_stack(
        inputs.swapaxes(0, 1), layers, [swapped, swapped], method=method, time_major=True
    )
    np.testing.assert_allclose(time_major.swapaxes(0, 1), batch_major, atol=1e-6)


def test_pmap_over_two_devices_equals_one():
    inputs, layers = make_inputs(6, 7, 6), make_layers(6, (4, 4))

    def step(inputs):
        gradient = jax.grad(lambda layers: lstm_stack(inputs, layers, method="fused_gates").mean())(
            layers
        )
        return jax.lax.pmean(gradient, "batch")

    two = jax.pmap(step, axis_name="batch")(inputs.reshape(2, 3, 7, 6))
    one = jax.grad(lambda layers: lstm_stack(inputs, layers, method="fused_gates").mean())(layers)
    for a, e in zip(jax.tree.leaves(two), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[0], e, atol=1e-6)


@pytest.mark.parametrize("method", ["plain", "fused_gates"])
def test_bfloat16_runs_and_keeps_its_dtype(method):
    inputs, layers = jnp.asarray(make_inputs(2, 4, 6), jnp.bfloat16), make_layers(6, (4,))
    outputs = lstm_stack(inputs, layers, method=method)
    assert outputs.dtype == jnp.bfloat16
    gradient = jax.grad(lambda x: lstm_stack(x, layers, method=method).astype(jnp.float32).sum())(
        inputs
    )
    assert gradient.dtype == jnp.bfloat16


def test_wrong_arguments_are_refused():
    inputs, layers = make_inputs(1, 2, 6), make_layers(6, (4,))
    with pytest.raises(ValueError, match="unrolled"):
        lstm_stack(inputs, layers, method="unrolled")
    with pytest.raises(ValueError, match="2 dropout masks for 1 layers"):
        lstm_stack(inputs, layers, [None, None])
