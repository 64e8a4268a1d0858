"""The speed of training from each input mode, beside the same step on batches in memory.

    python -m benchmarks.input_modes --data <prepared data set> [--config configs/model1.py]
        [--modes stream host resident] [--rounds 3] [--json out.json]

Each round trains one epoch from batches that lie in memory and one from each mode, on the same plan
and compiled steps. "alone" is the pipeline without any training. Bytes are per movie: what is read
from the shards, and what a batch holds.
"""

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.epochs import prepare_process, run_dispatches
from benchmarks.machine import describe_machine
from mmgenre.config import Config
from mmgenre.config_values import settings

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
    modes = settings(Config)["data.mode"].choices
    parser.add_argument("--modes", nargs="+", default=("stream", "host"), choices=modes)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max_steps", type=int, help="of an epoch (default: all)")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints a table."""
    args = parse_args()
    config = prepare_process(args.config)
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
    from mmgenre import schema
    from mmgenre.dataset.batch_plan import epoch_plan
    from mmgenre.dataset.pipeline import MovieSource
    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.training.compiled_programs import Programs
    from mmgenre.training.dispatch import Dispatch, dispatch_ends
    from mmgenre.training.feeds import BatchFeed, open_feed

    dataset = open_dataset(args.data)
    programs = Programs(config, dataset)
    plan = epoch_plan(config, dataset.index(schema.TRAIN).num_tokens, 0)
    plan = type(plan)(plan.movies[: args.max_steps], plan.lengths[: args.max_steps])
    state = programs.initial_state({})

    sources, feeds = {}, {}
    for mode in args.modes:
        of_mode = dataclasses.replace(config, data=dataclasses.replace(config.data, mode=mode))
        sources[mode] = MovieSource(dataset, schema.TRAIN, of_mode.data)
        feeds[mode] = open_feed(of_mode, sources[mode], programs)
    streamed = MovieSource(dataset, schema.TRAIN, dataclasses.replace(config.data, mode="stream"))
    # Copied: TensorFlow's own arrays would be freed and used again.
    in_memory = [
        Dispatch(1, {name: rows.copy() for name, rows in batch.items()})
        for batch in streamed.batches(plan)
    ]
    step = programs.mapped_train_step
    memory_feed = BatchFeed(streamed, step, batch_size=config.batch_size)

    def train(name: str) -> float:
        """Trains one epoch; returns the seconds of a step."""
        nonlocal state
        feed, start = feeds.get(name, memory_feed), time.perf_counter()
        ends = dispatch_ends(config, 0, 0, len(plan))
        dispatches = in_memory if name == IN_MEMORY else feed.dispatches(plan, 0, ends)
        state = run_dispatches(feed, state, dispatches)
        return (time.perf_counter() - start) / len(plan)

    def iterate(name: str) -> float:
        """Takes all batches of an epoch; returns the seconds of one."""
        start = time.perf_counter()
        for _ in sources[name].batches(plan):
            pass
        return (time.perf_counter() - start) / len(plan)

    names = [IN_MEMORY, *args.modes]
    for name in names:
        train(name)  # Compiles.
    per_step: dict[str, list[float]] = {name: [] for name in names}
    alone: dict[str, list[float]] = {name: [] for name in args.modes if name != "resident"}
    for number in range(args.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            per_step[name].append(train(name))
        for name, seconds in alone.items():
            seconds.append(iterate(name))
    read = sum(path.stat().length for path in dataset.shard_paths(schema.TRAIN))
    held = sum(rows.nbytes for dispatch in in_memory for rows in dispatch.inputs.values())
    return {
        "seconds_per_step": {name: statistics.median(values) for name, values in per_step.items()},
        "alone_seconds_per_batch": {n: statistics.median(values) for n, values in alone.items()},
        "bytes_per_movie": {
            "read from the shards": read / len(dataset.index(schema.TRAIN)),
            "in a batch": held / plan.movies.size,
        },
    }


if __name__ == "__main__":
    main()
