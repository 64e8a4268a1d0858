"""The speed of evaluating a split, beside training on the same movies.

    python -m benchmarks.evaluation --data <prepared data set> [--config configs/model1.py]
        [--split test] [--rounds 3] [--json out.json]

Each round trains one epoch of the train split as a run does, predicts every movie of the other
split once, and three times (whole and with either half withheld), as validation after each epoch
and the evaluation at the end do. Medians over the rounds.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.epochs import prepare_process, run_dispatches
from benchmarks.machine import describe_machine
from mmgenre import schema


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--split", default=schema.TEST, choices=schema.SPLITS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints a table."""
    args = parse_args()
    config = prepare_process(args.config)
    rates = measure(args, config)
    machine = describe_machine()
    print(f"{args.config}, {machine['cores']} cores, {machine['cpu']}, load {machine['load']}")
    print(f"{'':24s} movies/s   times training   all rounds")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in medians.items():
        each = " ".join(f"{value:.0f}" for value in rates[name])
        print(f"{name:24s} {rate:8.0f} {rate / medians['training']:16.2f}   {each}")
    if args.json:
        result = {"machine": machine, "config": args.config, "movies_per_second": rates}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(args: argparse.Namespace, config: Any) -> dict[str, list[float]]:
    """Returns movies per second of each kind of work, in each round."""
    from mmgenre.dataset.batch_plan import epoch_plan
    from mmgenre.dataset.pipeline import MovieSource
    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.distributed import device_mapping
    from mmgenre.evaluation import eval_steps
    from mmgenre.evaluation.predict_split import predict_split
    from mmgenre.training import dispatch, feeds
    from mmgenre.training.compiled_programs import Programs

    dataset = open_dataset(args.data)
    programs = Programs(config, dataset)
    state = programs.initial_state({})
    train_source = MovieSource(dataset, schema.TRAIN, config.data)
    config = programs.config
    source = MovieSource(dataset, args.split, config.data)
    feed = feeds.open_feed(config, train_source, programs)
    plan = epoch_plan(config, train_source.num_tokens, 0)
    eval_step = device_mapping.jit_eval_step(
        functools.partial(eval_steps.eval_step, model=programs.learner.model)
    )

    def train() -> int:
        nonlocal state
        ends = dispatch.dispatch_ends(config, 0, 0, len(plan))
        state = run_dispatches(feed, state, feed.dispatches(plan, 0, ends))
        return len(plan) * config.batch_size

    def predict(step: Callable[..., Any]) -> int:
        return len(predict_split(step, state.params, source, config).labels)

    work: dict[str, Callable[[], int]] = {
        "training": train,
        "evaluation": functools.partial(predict, eval_step),
        "evaluation, three views": functools.partial(predict, programs.views_step),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for number in range(args.rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            num_movies = run()
            if number:  # The first round compiles.
                rates[name].append(num_movies / (time.perf_counter() - start))
    return rates


if __name__ == "__main__":
    main()
