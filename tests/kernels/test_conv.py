"""Every way to compute the convolution stack gives the same function as `lax.conv`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgenre.kernels import gpu_conv
from mmgenre.kernels.conv import conv_stack


def make_layers(
    filters: tuple[int, ...], channels: int = 3, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    layers = []
    for count in filters:
        kernel = rng.standard_normal((3, 3, channels, count)) * np.sqrt(2 / (9 * channels))
        layers.append(
            (kernel.astype(np.float32), (0.1 * rng.standard_normal(count)).astype(np.float32))
        )
        channels = count
    return layers


def make_posters(batch: int, height: int = 64, width: int = 64, channels: int = 3) -> np.ndarray:
    # Normal noise: no two places of a window come within a rounding error of each other (a poster's
    # flat areas do).
    return (
        np.random.default_rng(1)
        .standard_normal((batch, height, width, channels))
        .astype(np.float32)
    )


def value_and_gradients(posters, layers, method, cotangent):
    def total(posters, layers):
        features = conv_stack(posters, layers, method=method)
        return (features * cotangent).sum(), features

    return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(posters, layers)


def assert_close(actual, expected, tolerance):
    """Within `tolerance` of the largest expected entry; norms, since a near tie may pick another
    winner.
    """
    difference = np.linalg.norm(np.asarray(actual, np.float64) - np.asarray(expected, np.float64))
    assert difference <= tolerance * np.linalg.norm(np.asarray(expected, np.float64)), difference


@pytest.mark.parametrize(
    "batch", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 7, 33))]
)
def test_winograd_matches_plain(batch):
    posters, layers = make_posters(batch), make_layers((32, 64, 128, 128))
    cotangent = np.random.default_rng(2).standard_normal((batch, 4, 4, 128)).astype(np.float32)
    expected, expected_features = value_and_gradients(posters, layers, "plain", cotangent)
    actual, features = value_and_gradients(posters, layers, "winograd", cotangent)
    np.testing.assert_allclose(
        features, expected_features, atol=2e-5 * np.abs(expected_features).max()
    )
    jax.tree.map(lambda a, e: assert_close(a, e, 0.01), actual, expected)


def test_one_layer_is_exact_to_rounding():
    """Without near ties between layers the gradients agree to rounding, not only in the norm."""
    for channels, count in ((3, 8), (16, 8)):
        posters, layers = make_posters(2, 16, 16, channels), make_layers((count,), channels)
        cotangent = np.random.default_rng(2).standard_normal((2, 8, 8, count)).astype(np.float32)
        expected, _ = value_and_gradients(posters, layers, "plain", cotangent)
        actual, _ = value_and_gradients(posters, layers, "winograd", cotangent)
        for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, e, atol=2e-5 * np.abs(e).max())


@pytest.mark.parametrize(
    ("channels", "size"), [(1, (5, 7)), (3, (13, 16)), (5, (2, 2)), (5, (10, 12)), (5, (64, 40))]
)
def test_any_height_and_width(size, channels):
    posters, layers = make_posters(3, *size, channels), make_layers((6,), channels)
    cotangent = np.ones((3, size[0] // 2, size[1] // 2, 6), np.float32)
    expected, expected_features = value_and_gradients(posters, layers, "plain", cotangent)
    actual, features = value_and_gradients(posters, layers, "winograd", cotangent)
    np.testing.assert_allclose(features, expected_features, atol=1e-4)
    jax.tree.map(lambda a, e: assert_close(a, e, 1e-4), actual, expected)


@pytest.mark.parametrize("size", [(16, 16), (7, 10)])
def test_direct_matches_plain(size):
    posters, layers = make_posters(3, *size), make_layers((6, 5))
    cotangent = np.random.default_rng(2).standard_normal((3, size[0] // 4, size[1] // 4, 5))
    expected, expected_features = value_and_gradients(posters, layers, "plain", cotangent)
    actual, features = value_and_gradients(posters, layers, "direct", cotangent)
    np.testing.assert_allclose(features, expected_features, atol=1e-6)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_allclose(a, e, atol=1e-5 * np.abs(e).max())


def test_direct_gives_the_gradient_to_the_first_of_equals():
    y = jnp.asarray([[[1.0, 3.0], [3.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]]])[..., None]
    windows = jnp.concatenate([y, -y])  # The last two are switched off by ReLU.
    for bias in (0.0, 0.5):
        gradient = jax.grad(lambda y, b=bias: gpu_conv.pool(y, jnp.full(1, b)).sum())(windows)
        expected = [[[0, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, bias > 0]], [[0, 0], [0, 0]]]
        np.testing.assert_array_equal(gradient[..., 0], np.asarray(expected, np.float32))


@pytest.mark.slow
def test_model0_at_an_odd_batch():
    posters, layers = make_posters(250), make_layers((64, 128))
    features = jax.jit(lambda p: conv_stack(p, layers, method="winograd"))(posters)
    expected = jax.jit(lambda p: conv_stack(p, layers, method="plain"))(posters)
    np.testing.assert_allclose(features, expected, atol=2e-5 * np.abs(expected).max())


def test_pmap_over_two_devices_equals_one():
    layers = make_layers((8, 16, 8))
    posters = make_posters(2 * 5, 32, 32)

    def step(posters):
        def loss(layers):
            return conv_stack(posters, layers, method="winograd").mean()

        return jax.lax.pmean(jax.grad(loss)(layers), "batch")

    two = jax.pmap(step, axis_name="batch")(posters.reshape(2, 5, 32, 32, 3))
    one = jax.jit(jax.grad(lambda layers: conv_stack(posters, layers, method="winograd").mean()))(
        layers
    )
    for a, e in zip(jax.tree.leaves(two), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[0], e, atol=1e-6)
        np.testing.assert_array_equal(a[0], a[1])


def test_flat_posters_have_a_valid_gradient():
    """In a flat area all places tie: the gradient goes to one of them, so the sums agree."""
    layers, posters = make_layers((8,)), np.full((1, 16, 16, 3), 0.5, np.float32)
    sums = [
        jax.grad(lambda p, m=method: conv_stack(p, layers, method=m)[:, 2:-2, 2:-2].sum())(
            posters
        ).sum()
        for method in ("plain", "winograd")
    ]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-4)


def test_a_poster_is_not_influenced_by_its_neighbours_in_the_batch():
    layers, posters = make_layers((8, 8)), make_posters(5, 16, 16)
    changed = posters.copy()
    changed[2] = 100.0
    before, after = (conv_stack(p, layers, method="winograd") for p in (posters, changed))
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(before[np.array(others)], after[np.array(others)])


def test_bfloat16_runs_and_keeps_its_dtype():
    layers, posters = make_layers((8, 8)), jnp.asarray(make_posters(2, 16, 16), jnp.bfloat16)
    features = {m: conv_stack(posters, layers, method=m) for m in ("plain", "direct", "winograd")}
    for method in ("direct", "winograd"):
        assert features[method].dtype == features["plain"].dtype == jnp.bfloat16
        np.testing.assert_allclose(
            features[method].astype(jnp.float32), features["plain"].astype(jnp.float32), atol=0.1
        )
        gradient = jax.grad(
            lambda p, m=method: conv_stack(p, layers, method=m).astype(jnp.float32).sum()
        )(posters)
        assert gradient.dtype == jnp.bfloat16


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="fft"):
        conv_stack(make_posters(1, 8, 8), make_layers((4,)), method="fft")
