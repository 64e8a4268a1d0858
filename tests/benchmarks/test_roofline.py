"""The counted costs: by hand, by the model's own parameters, and by XLA's count."""

import dataclasses

import jax
import pytest

from benchmarks.roofline import Cost, movie_costs, num_parameters, step_costs
from mmgenre.config import ModelConfig
from mmgenre.kernels import plain_kernels
from mmgenre.models import fusion

MODEL_0 = ModelConfig(cnn_filters=(64, 128), cnn_dropout=0.0, lstm_dropout=0.0)
MODEL_1 = ModelConfig()
BFLOAT16 = dataclasses.replace(MODEL_1, compute_dtype="bfloat16")


def test_parts_are_those_worked_out_by_hand():
    parts = movie_costs(BFLOAT16, 10)
    # 64 x 64 places, 9 x 3 inputs, 32 filters, times two; forward and by the weights.
    assert parts["convolution 1"].flops == 2 * (2 * 64 * 64 * 27 * 32) == 14_155_776
    # 32 x 32 places, 9 x 32 inputs, 64 filters; forward, by the weights and by the inputs.
    assert parts["convolution 2"].flops == 3 * (2 * 32 * 32 * 288 * 64) == 113_246_208
    # Values of 2 bytes: its inputs thrice, 32 x 32 x 64 outputs five times, pooled ones twice;
    # the winners of 16 x 16 x 64 windows, a byte each, twice.
    outputs, pooled = 65_536, 16_384
    assert parts["convolution 2"].bytes == 2 * (3 * 32_768 + 5 * outputs + 2 * pooled) + 2 * pooled
    # Ten tokens of (128 + 64) x 256 products, times two, times three.
    assert parts["LSTM 1"].flops == 10 * 3 * 2 * 192 * 256
    # Seven times 256 gates, three times 128 inputs and 64 outputs; two float32 cell states of 64.
    assert parts["LSTM 1"].bytes == 10 * (2 * (7 * 256 + 3 * 128 + 3 * 64) + 2 * 64 * 4)
    assert parts["head"].flops == 6 * (530 * 512 + 512 * 256 + 256 * 18)
    assert step_costs(BFLOAT16, 4, 10)["LSTM 1"] == parts["LSTM 1"].times(4)


@pytest.mark.parametrize(("config", "count"), [(MODEL_0, 19_904_804), (MODEL_1, 4_341_348)])
def test_parameters_are_the_models(config, count):
    assert num_parameters(config) == count


def test_float32_moves_more_and_computes_as_much():
    single, half = (sum(movie_costs(c, 64).values(), Cost()) for c in (MODEL_1, BFLOAT16))
    assert single.flops == half.flops
    assert 1.8 < single.bytes / half.bytes < 2


def test_the_slower_of_arithmetic_and_memory_is_the_floor():
    assert Cost(flops=6.0, bytes=2.0).seconds(flops=2.0, bandwidth=1.0) == 3.0
    assert Cost(flops=1.0, bytes=2.0).seconds(flops=2.0, bandwidth=1.0) == 2.0


@pytest.mark.parametrize("config", [MODEL_0, MODEL_1])
def test_operations_are_about_those_that_xla_counts(config):
    """Of one token: XLA counts the body of a loop once. It leaves the zeros at the edges of posters
    out, up to a sixth of a convolution, and counts what is not a product, too.
    """
    model, batch = fusion.build(config), fusion.example_batch(2, 1)
    params = jax.eval_shape(
        lambda key: model.init(key, batch, deterministic=True), jax.random.key(0)
    )

    def total(params):
        return model.apply(params, batch, deterministic=True).sum()

    with plain_kernels.kernels():
        forward = jax.jit(total).lower(params).cost_analysis()["flops"]
        training = jax.jit(jax.grad(total)).lower(params).cost_analysis()["flops"]
    counted = sum(step_costs(config, 2, 1).values(), Cost()).flops
    assert 0.85 < training / counted < 1.1
    assert 0.3 < forward / counted < 0.4
