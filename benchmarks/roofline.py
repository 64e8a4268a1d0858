"""The arithmetic and memory traffic that a training step needs, counted from the architecture.

    python -m benchmarks.roofline [--batch 256] [--tokens 64] [--tflops 790] [--gigabytes 4300]

prints the parts of Model 1 for a device that multiplies and copies so fast (the defaults are an
H200's, as its users measure it). What is counted, per movie:

- operations: multiplications and additions of matrix products and convolutions, forward, and twice
  as many backward (by the inputs and by the weights); the first convolution has no gradient by its
  inputs. All else (pooling, activations, dropout, Adam) is a few per cent.
- bytes: arrays that must leave the chip. A convolution writes what one kernel of bias, ReLU and
  pooling reads, which leaves a byte for each window; backward, these are read and the
  convolution's gradient is written, which both gradients by it read. An LSTM walks in one launch
  (`mmgenre.kernels.wavefront_lstm`) and leaves gates, cell states and outputs for the way back. The
  rest of the traffic belongs to the step, not to the movie: of each parameter 32 bytes (itself, its
  gradient and Adam's two moments, read and written). Activations have the size of
  `config.model.compute_dtype`.

Nothing is counted twice because a cache was too small, so this is a floor.
"""

import argparse
import dataclasses

from mmgenre import schema
from mmgenre.config import ModelConfig

BYTES_OF_A_PARAMETER = 32
FLOAT32 = 4


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one movie, or one step, costs.

    Attributes:
      flops: floating-point operations.
      bytes: from and to the device's memory.
    """

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, factor: float) -> "Cost":
        """The cost of so many."""
        return Cost(self.flops * factor, self.bytes * factor)

    def seconds(self, flops: float, bandwidth: float) -> float:
        """The least time on a device of so many operations and bytes a second."""
        return max(self.flops / flops, self.bytes / bandwidth)


def movie_costs(config: ModelConfig, num_tokens: float) -> dict[str, Cost]:
    """Returns the cost of training on one movie, by part, without the parameters' traffic."""
    size = 2 if config.compute_dtype == "bfloat16" else FLOAT32
    parts: dict[str, Cost] = {}
    features = 0
    if config.use_poster:
        channels, side = schema.POSTER_SHAPE[-1], schema.POSTER_SIZE
        for index, filters in enumerate(config.cnn_filters):
            name = f"convolution {index + 1}"
            parts[name] = _convolution(side, channels, filters, size, first=index == 0)
            channels, side = filters, side // 2
        parts["poster's dense layer"] = _dense(channels * side * side, config.poster_features, size)
        features += config.poster_features
    if config.use_overview:
        width = config.embedding_size
        # A row is read and rounded; its gradient is added to a row of float32.
        parts["embedding"] = Cost(0, num_tokens * width * (3 * FLOAT32 + 2 * size))
        for index, units in enumerate(config.lstm_units):
            parts[f"LSTM {index + 1}"] = _lstm(width, units, size).times(num_tokens)
            width = units
        parts["overview's dense layer"] = _dense(width, config.overview_features, size)
        features += config.overview_features
    head = Cost()
    for units in (*config.head_units, schema.NUM_GENRES):
        head += _dense(features, units, size)
        features = units
    parts["head"] = head
    return parts


def num_parameters(config: ModelConfig) -> int:
    """Counts the parameters of a model."""
    count, features = 0, 0
    if config.use_poster:
        channels, side = schema.POSTER_SHAPE[-1], schema.POSTER_SIZE
        for filters in config.cnn_filters:
            count += (9 * channels + 1) * filters
            channels, side = filters, side // 2
        count += (channels * side * side + 1) * config.poster_features
        features += config.poster_features
    if config.use_overview:
        width = config.embedding_size
        count += config.vocabulary_size * width
        for units in config.lstm_units:
            count += 4 * units * (width + units + 1)
            width = units
        count += (width + 1) * config.overview_features
        features += config.overview_features
    for units in (*config.head_units, schema.NUM_GENRES):
        count += (features + 1) * units
        features = units
    return count


def step_costs(config: ModelConfig, batch_size: int, num_tokens: float) -> dict[str, Cost]:
    """Returns the cost of a training step, by part; `num_tokens` a movie, padding included."""
    parts = {name: cost.times(batch_size) for name, cost in movie_costs(config, num_tokens).items()}
    parts["parameters and Adam"] = Cost(0, BYTES_OF_A_PARAMETER * num_parameters(config))
    return parts


def _convolution(side: int, channels: int, filters: int, size: int, *, first: bool) -> Cost:
    inputs, outputs = side * side * channels, side * side * filters
    pooled = (side // 2) ** 2 * filters
    forward = 2 * 9 * channels * outputs
    moved = inputs + 2 * outputs + pooled  # Convolution, then pooling.
    moved += pooled + outputs  # Backward through pooling.
    moved += inputs + outputs  # By the weights.
    if not first:
        moved += outputs + inputs  # By the inputs.
    winners = 2 * pooled  # A byte each, written and read.
    return Cost(forward * (2 if first else 3), moved * size + winners)


def _dense(inputs: int, outputs: int, size: int) -> Cost:
    return Cost(3 * 2 * inputs * outputs, (3 * inputs + 3 * outputs) * size)


def _lstm(inputs: int, units: int, size: int) -> Cost:
    """One token of one layer."""
    gates = 4 * units
    flops = 3 * 2 * (inputs + units) * gates
    # The projections are written and read, the gates kept and read, their gradients written, and
    # read for the gradients by inputs and by weights.
    moved = (2 + 2 + 1 + 2) * gates
    moved += 3 * inputs  # Read forward and for the weights; the gradient by them, written.
    moved += 3 * units  # Outputs written, read for the weights; their gradient, read.
    return Cost(flops, moved * size + 2 * units * FLOAT32)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--tokens", type=float, default=64, help="a movie, padding included")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--movies", type=int, default=29_568, help="of an epoch")
    parser.add_argument("--tflops", type=float, default=790.0, help="of a matrix product")
    parser.add_argument("--gigabytes", type=float, default=4300.0, help="a second, of a copy")
    args = parser.parse_args()
    parts = step_costs(ModelConfig(compute_dtype=args.dtype), args.batch, args.tokens)
    ceilings = args.tflops * 1e12, args.gigabytes * 1e9
    print(f"Model 1, {args.dtype}, batch {args.batch}, {args.tokens:g} tokens a movie")
    print(f"{'part':26s} {'GFLOP':>9s} {'MB':>9s} {'floor, us':>10s}")
    for name, cost in parts.items():
        seconds = cost.seconds(*ceilings)
        print(f"{name:26s} {cost.flops / 1e9:9.3f} {cost.bytes / 1e6:9.2f} {seconds * 1e6:10.1f}")
    total = sum(parts.values(), Cost())
    seconds = sum(cost.seconds(*ceilings) for cost in parts.values())
    print(f"{'a step':26s} {total.flops / 1e9:9.3f} {total.bytes / 1e6:9.2f} {seconds * 1e6:10.1f}")
    epoch = seconds * (args.movies // args.batch)
    print(f"an epoch of {args.movies:,} movies: at least {epoch:.3f} s")


if __name__ == "__main__":
    main()
