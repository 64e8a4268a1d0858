"""Milliseconds of a training step: this program's and what its users would write instead.

    python -m benchmarks.training_step --data <prepared data set> [--configs configs/model1.py ...]
        [--peers keras-tf-onednn torch ...] [--rounds 3] [--steps 8] [--json out.json]

All are fed the same batches of that data set from memory, in float32, with dropout, and build the
architecture of the same config. Peers pad every overview to `max_tokens`, as their users do. This
program is measured at each of its bucket lengths: "real lengths" is their mean, weighted by how
many batches of an epoch have each, "forced" the longest alone. Each contestant runs in a process of
its own, all of them in turn in each round, and the first two steps are not counted. Peers need
`pip install -e '.[peers]'`; what is not installed is left out.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.configs import load_config
from benchmarks.machine import describe_machine

OURS: Final = "mmgenre"
_PEERS_FOLDER: Final = Path(__file__).parent / "peers"

# Its script, its argument, and what its environment needs. TensorFlow leaves oneDNN off on some
# processors unless told otherwise, so both settings take part.
PEERS: Final = {
    "keras-tf-onednn": ("keras_step.py", "", {"TF_ENABLE_ONEDNN_OPTS": "1"}),
    "keras-tf": ("keras_step.py", "", {}),
    "keras-jax": ("keras_step.py", "", {"KERAS_BACKEND": "jax"}),
    "torch": ("torch_step.py", "eager", {}),
    "torch-compiled": ("torch_step.py", "compiled", {}),
}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument(
        "--configs",
        nargs="+",
        default=["configs/model1.py", "configs/model0.py"],
        help="files, or file:variant",
    )
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="timed steps a round and length")
    parser.add_argument(
        "--torch_python", default=sys.executable, help="the interpreter of PyTorch's environment"
    )
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Runs all contestants on each config, and prints a table of each."""
    args = parse_args()
    machine, results = describe_machine(), {}
    print(f"{machine['cores']} cores, {machine['cpu']}, load {machine['load']}", flush=True)
    for name in args.configs:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = compare(args, name, Path(folder))
        print(table(name, results[name]), flush=True)
        if args.json:
            result = {"machine": machine, "results": results}
            args.json.write_text(json.dumps(result, indent=2) + "\n")


def compare(args: argparse.Namespace, name: str, folder: Path) -> dict[str, Any]:
    """Measures all contestants on one config.

    Returns:
      "batch_size", "max_tokens", "batches" (of an epoch, by length), "parameters" and "versions" by
      contestant, "steps": by contestant and length, "wall_ms" and "cpu_ms" of each timed step.
    """
    config = load_config(name)
    counts = write_batches(args.data, config, folder)
    (folder / "model.json").write_text(json.dumps(dataclasses.asdict(config.model)))
    result: dict[str, Any] = {
        "batch_size": config.batch_size,
        "max_tokens": config.data.max_tokens,
        "batches": counts,
        "parameters": {},
        "versions": {},
        "steps": {},
    }
    left_out: set[str] = set()
    for _ in range(args.rounds):
        for contestant in (OURS, *args.peers):
            if contestant in left_out:
                continue
            command, environment = command_of(contestant, args, name, folder)
            measured = run(contestant, [*command, str(folder), str(args.steps)], environment)
            if measured is None:
                left_out.add(contestant)
                continue
            result["parameters"][contestant] = measured["parameters"]
            result["versions"][contestant] = measured["versions"]
            lengths = result["steps"].setdefault(contestant, {})
            for length, times in measured["steps"].items():
                all_times = lengths.setdefault(length, {"wall_ms": [], "cpu_ms": []})
                for kind, values in times.items():
                    all_times[kind] += values
    return result


def write_batches(data: str, config: Any, folder: Path) -> dict[int, int]:
    """Writes a batch of each length into `folder`; returns how many of them an epoch has."""
    import numpy as np

    from mmgenre import schema
    from mmgenre.dataset.batch_plan import epoch_plan
    from mmgenre.dataset.pipeline import MovieSource
    from mmgenre.dataset.prepared import open_dataset

    source = MovieSource(open_dataset(data), schema.TRAIN, config.data)
    plan = epoch_plan(config, source.num_tokens, 0)
    lengths, counts = np.unique(plan.lengths, return_counts=True)
    first = np.array([np.flatnonzero(plan.lengths == length)[0] for length in lengths])
    chosen = dataclasses.replace(plan, movies=plan.movies[first], lengths=lengths)
    longest = np.full_like(lengths[-1:], config.data.max_tokens)
    padded = dataclasses.replace(plan, movies=plan.movies[first[-1:]], lengths=longest)
    for part in (chosen, padded):
        for length, batch in zip(part.lengths.tolist(), source.batches(part), strict=True):
            np.savez(folder / f"batch-{length}.npz", allow_pickle=False, **batch)
    return dict(zip(lengths.tolist(), counts.tolist(), strict=True))


def command_of(
    contestant: str, args: argparse.Namespace, name: str, folder: Path
) -> tuple[list[str], dict[str, str]]:
    """Returns the command that measures a contestant, and its environment."""
    if contestant == OURS:
        return [sys.executable, "-m", "benchmarks.own_step", name], dict(os.environ)
    script, argument, environment = PEERS[contestant]
    python = args.torch_python if contestant.startswith("torch") else sys.executable
    command = [python, str(_PEERS_FOLDER / script), *filter(None, [argument])]
    return command, {"KERAS_BACKEND": "tensorflow", **os.environ, **environment}


def run(contestant: str, command: list[str], environment: dict[str, str]) -> dict[str, Any] | None:
    """Runs one process; returns what it measured, or None where its framework is not installed."""
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    if process.returncode == 0:
        return json.loads(process.stdout.splitlines()[-1])
    last = process.stderr.strip().splitlines()[-1:]
    if last and last[0].startswith("ModuleNotFoundError"):
        print(f"{contestant} is left out: {last[0]}", file=sys.stderr, flush=True)
        return None
    sys.exit(f"error: {contestant} failed:\n{process.stderr}")


def step_ms(
    result: dict[str, Any], contestant: str, *, forced: bool, kind: str = "wall_ms"
) -> tuple[float, float]:
    """Returns the (median, minimum) milliseconds of a contestant's step."""
    lengths = {int(length): times[kind] for length, times in result["steps"][contestant].items()}
    real = contestant == OURS and not forced
    weights = result["batches"] if real else {result["max_tokens"]: 1}

    def mean(summary: Any) -> float:
        total = sum(summary(lengths[length]) * count for length, count in weights.items())
        return total / sum(weights.values())

    return mean(statistics.median), mean(min)


def table(name: str, result: dict[str, Any]) -> str:
    """Returns the medians and minima, and how much faster this program is than each."""
    lines = [
        f"\n{name}: batch {result['batch_size']}, batches by length {result['batches']}",
        f"{'':18s} wall ms (min)   processor ms/cores   movies/s   ours is faster: "
        f"real lengths, forced {result['max_tokens']}",
    ]
    cores = describe_machine()["cores"]
    ours = [step_ms(result, OURS, forced=forced)[0] for forced in (False, True)]

    def row(label: str, contestant: str, *, forced: bool, ratios: Iterable[float]) -> str:
        wall, least = step_ms(result, contestant, forced=forced)
        cpu, _ = step_ms(result, contestant, forced=forced, kind="cpu_ms")
        more = "  ".join(f"{ratio:8.2f}" for ratio in ratios)
        rate = 1e3 * result["batch_size"] / wall
        return f"{label:18s} {wall:7.0f} ({least:5.0f}) {cpu / cores:18.0f} {rate:12.0f}   {more}"

    lines.append(row(f"{OURS}, real", OURS, forced=False, ratios=()))
    lines.append(row(f"{OURS}, forced", OURS, forced=True, ratios=()))
    for peer in result["steps"]:
        if peer != OURS:
            wall = step_ms(result, peer, forced=True)[0]
            lines.append(row(peer, peer, forced=True, ratios=(wall / ms for ms in ours)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
