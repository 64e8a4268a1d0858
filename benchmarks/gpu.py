"""Training on a GPU: mmgenre and PyTorch side by side, and both beside what the GPU could do.

    python -m benchmarks.gpu [--torch_python <interpreter with PyTorch>] [--json out.json]
        [--batch 256 1024 4096] [--kernels scan cudnn wavefront] [--only <words>] [--rounds 5]
        [--quick]

An epoch of 29,568 made-up movies with the lengths of real overviews lies on the device; each case
trains it again and again. Every LSTM kernel and PyTorch have a process of their own; the processes
compile first and then wait, and are measured in turn, one after the other, round by round; --json
is written after each round. All use the first GPU. --quick is for batch 256 and starts no round
after 8 minutes. It needs jax, flax, optax and ml_collections alone; give PyTorch a virtual
environment of its own, since both bring CUDA's libraries. The
table has the medians, how much faster than PyTorch's fastest case of the same batch and tokens,
and the share of the floor that `benchmarks.roofline` counts, with the speed of a matrix product and
of a copy as measured in the same run. `--platform cpu --trial` runs all this in little, without a
GPU, to see that it works; its figures mean nothing.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu_cases import name_of, our_cases, torch_cases
from benchmarks.gpu_data import Case, make_movies
from benchmarks.gpu_table import print_table, summarize
from benchmarks.gpu_worker import Worker
from mmgenre.config import ModelConfig
from mmgenre.dataset.batch_plan import plan_training_epoch

QUICK_S = 8 * 60.0
BUCKETS = {"full": (128,), "real": (32, 64, 96, 128)}
TRIAL_MODEL = ModelConfig(
    vocabulary_size=100,
    embedding_size=8,
    cnn_filters=(2,),
    poster_features=4,
    lstm_units=(16,),
    head_units=(4,),
)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--platform", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--trial", action="store_true", help="few movies, a tiny model, one round")
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--kernels", nargs="+", default=["scan", "cudnn", "wavefront"])
    parser.add_argument("--quick", action="store_true", help="batch 256, 3 rounds, 8 minutes")
    parser.add_argument("--only", default="", help="only cases with all these words in their name")
    parser.add_argument("--movies", type=int, default=29_568)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--conv", choices=("direct", "plain"), default="direct")
    parser.add_argument("--torch_python", default=sys.executable)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    args = parser.parse_args()
    args.deadline = time.monotonic() + (QUICK_S if args.quick else float("inf"))
    if args.quick:
        args.batch, args.rounds = [256], 3
    if args.trial:
        args.batch, args.movies, args.rounds = [16], 64, 1
        BUCKETS["real"] = (64,)  # Each length is compiled.
    if args.platform == "cpu":
        args.kernels = [kernel for kernel in args.kernels if kernel == "scan"]
    return args


def start_workers(args: argparse.Namespace, folder: Path, job: dict[str, Any]) -> list[Worker]:
    """Starts a process for each LSTM kernel and one for PyTorch, one after the other."""

    def wanted(cases: list[Case]) -> list[Case]:
        return [case for case in cases if all(w in name_of(case) for w in args.only.split())]

    workers: list[Worker] = []
    for kernel in args.kernels:
        if cases := wanted(our_cases(kernel, args.batch)):
            ours = {**job, "ceilings": 0 if workers else (256 if args.trial else 8192)}
            ours["check"] = kernel != "scan"
            workers.append(Worker("gpu_ours", sys.executable, cases, folder, ours))
    has_torch = subprocess.run(
        [args.torch_python, "-c", "import torch"], cwd="/", capture_output=True, check=False
    )
    if has_torch.returncode:
        print(f"PyTorch is left out: {args.torch_python} does not have it (--torch_python)")
    elif cases := wanted(torch_cases(args.batch)):
        workers.append(Worker("gpu_torch", args.torch_python, cases, folder, job))
    return workers


def main() -> None:
    """Measures and prints."""
    args = parse_args()
    model = TRIAL_MODEL if args.trial else ModelConfig()
    movies = {
        "num_movies": args.movies,
        "vocabulary_size": model.vocabulary_size,
        "max_tokens": BUCKETS["full"][0],
    }
    num_tokens = make_movies(**movies)["num_tokens"]
    plans = {
        f"{batch} {tokens}": plan_training_epoch(
            num_tokens, batch_size=batch, bucket_lengths=buckets, seed=0, epoch=0
        )
        for batch in args.batch
        for tokens, buckets in BUCKETS.items()
    }
    job = {
        "platform": args.platform,
        "model": dataclasses.asdict(model),
        "movies": movies,
        "plans": {name: (p.movies.tolist(), p.lengths.tolist()) for name, p in plans.items()},
        "conv": args.conv,
    }
    with tempfile.TemporaryDirectory() as folder:
        workers = start_workers(args, Path(folder), job)
        for number in range(args.rounds):
            if number and time.monotonic() > args.deadline:
                break
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
            for worker in workers:
                worker.measure()
            results = summarize(workers, model, plans)
            if args.json:
                args.json.write_text(json.dumps(results, indent=2) + "\n")
        for worker in workers:
            worker.close()
    if args.platform == "cpu":
        print("On a CPU this shows that the benchmark runs; the figures mean nothing.")
    print_table(results)


if __name__ == "__main__":
    main()
