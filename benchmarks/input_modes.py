"""How fast training runs from each input mode, beside the same step on batches in memory.

    python -m benchmarks.input_modes --data <prepared data set> [--config configs/model1.py]
        [--modes stream host] [--rounds 3] [--json out.json]

Each round trains one epoch from batches that lie in memory and one from each mode, on the same plan
and compiled steps. "alone" is the pipeline without any training. Bytes are per movie: what is read
from the shards, and what a batch holds.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.configs import load_config
from benchmarks.machine import describe_machine

MODES: Final = ("stream", "host")
IN_MEMORY: Final = "in memory"


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.input_modes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max_steps", type=int, help="of an epoch (default: all)")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints a table."""
    args = parse_args()
    from mmgenre import compiled_cache, processor

    config = load_config(args.config)
    compiled_cache.enable()
    processor.use_all_cores(config.batch_size)  # Before JAX is imported, as in `mmgenre.main`.
    result = {"machine": describe_machine(), "config": args.config, **measure(args, config)}
    trained = {name: config.batch_size / s for name, s in result["seconds_per_step"].items()}
    machine = result["machine"]
    print(f"{args.config}, {machine['cores']} cores, {machine['cpu']}, load {machine['load']}")
    print("mode        movies/s   of in memory   alone, movies/s   times the step")
    for name, rate in trained.items():
        line = f"{name:10s} {rate:9.0f} {rate / trained[IN_MEMORY]:14.3f}"
        if alone := result["alone_seconds_per_batch"].get(name):
            line += f" {config.batch_size / alone:17.0f} {config.batch_size / alone / rate:16.1f}"
        print(line)
    for name, count in result["bytes_per_movie"].items():
        print(f"{name}: {count:,.0f} bytes a movie")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(args: argparse.Namespace, config: Any) -> dict[str, Any]:
    """Returns the medians over all rounds, and the bytes of a movie."""
    import dataclasses

    import jax

    from mmgenre import optimizer, parallel, random_streams, schema, steps
    from mmgenre.batch_plan import plan_training_epoch
    from mmgenre.input_pipeline import MovieSource
    from mmgenre.models import fusion
    from mmgenre.prepared_dataset import open_dataset
    from mmgenre.train_state import TrainState

    dataset = open_dataset(args.data)
    sources = {
        mode: MovieSource(dataset, schema.TRAIN, dataclasses.replace(config.data, mode=mode))
        for mode in args.modes
    }
    plan = plan_training_epoch(
        dataset.index(schema.TRAIN).num_tokens,
        batch_size=config.batch_size,
        bucket_lengths=config.data.bucket_lengths,
        seed=config.seed,
        epoch=0,
    )
    plan = type(plan)(plan.movies[: args.max_steps], plan.lengths[: args.max_steps])
    feeds: dict[str, Callable[[], Iterable]] = {
        name: functools.partial(source.batches, plan) for name, source in sources.items()
    }
    # Copied: TensorFlow's own arrays would be freed and used again.
    batches = [
        {name: rows.copy() for name, rows in batch.items()}
        for batch in next(iter(feeds.values()))()
    ]
    feeds = {IN_MEMORY: lambda: batches, **feeds}

    model, tx = fusion.build(config.model), optimizer.build(config)
    create = functools.partial(TrainState.create, model, tx)
    state = parallel.jit_replicated(create, random_streams.init_key(config.seed))
    dropout_key = random_streams.stream_key(config.seed, random_streams.DROPOUT)
    step = parallel.pmap_train_step(
        functools.partial(steps.train_step, model=model, optimizer=tx, dropout_key=dropout_key)
    )
    for length in set(plan.lengths.tolist()):  # Compiles; twice, as the first state differs.
        for _ in range(2):
            state, sums = step(state, batches[plan.lengths.tolist().index(length)])
    jax.block_until_ready(sums)

    def train(feed: Iterator) -> None:
        nonlocal state
        pending = None
        for batch in feed:
            state, sums = step(state, batch)
            if pending is not None:  # One step late, as training reads them.
                jax.device_get(pending)
            pending = sums
        jax.block_until_ready((state, pending))

    per_step: dict[str, list[float]] = {name: [] for name in feeds}
    alone: dict[str, list[float]] = {name: [] for name in sources}
    for number in range(args.rounds):
        names = list(feeds)
        for name in names if number % 2 == 0 else reversed(names):
            start = time.perf_counter()
            train(iter(feeds[name]()))
            per_step[name].append((time.perf_counter() - start) / len(plan))
        for name, source in sources.items():
            start = time.perf_counter()
            for _ in source.batches(plan):
                pass
            alone[name].append((time.perf_counter() - start) / len(plan))
    num_movies = plan.movies.size
    read = sum(path.stat().length for path in dataset.shard_paths(schema.TRAIN))
    held = sum(rows.nbytes for batch in batches for rows in batch.values())
    return {
        "seconds_per_step": {name: statistics.median(values) for name, values in per_step.items()},
        "alone_seconds_per_batch": {n: statistics.median(values) for n, values in alone.items()},
        "bytes_per_movie": {
            "read from the shards": read / len(dataset.index(schema.TRAIN)),
            "in a batch": held / num_movies,
        },
    }


if __name__ == "__main__":
    main()
