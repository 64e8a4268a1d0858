"""Seconds from a command to its answer: help, a mistake, and the first training step.

    python -m benchmarks.startup --data <prepared data set> [--config configs/model1.py]
        [--rounds 2] [--json out.json]
    python -m benchmarks.startup --data <prepared data set> --programs [--config ...]

The first step is that of the real program: from its start until its log has the row of step 1, cold
(with an empty cache of compiled programs) and again with what the first start left there. The
processor's time (of all threads) hardly depends on what else the machine does.

--programs trains one epoch instead, from an empty cache to the end of the command, and counts the
programs that are compiled, by name, in three parts: up to the first step's row, in the rest of the
epoch with its validation and its checkpoint, and in the evaluation and the report.
"""

import argparse
import collections
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.machine import describe_machine

_COMPILED: Final = re.compile(r"Finished XLA compilation of (\S+) in (\S+) sec")
"""What JAX logs of each program with JAX_LOG_COMPILES=1."""


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--rounds", type=int, default=2, help="of each measurement")
    parser.add_argument("--programs", action="store_true", help="count compiled programs instead")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints a table."""
    args = parse_args()
    if args.programs:
        print_programs(args)
        return
    seconds: dict[str, list[tuple[float, float]]] = {}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            measured = {
                "help": seconds_to_end(["--help"]),
                "a mistake in the config": seconds_to_end(
                    [f"--config={args.config}", "--config.learning_rate=-1"]
                ),
                "first step, cold": seconds_to_first_step(args, Path(folder), "cold"),
                "first step, second start": seconds_to_first_step(args, Path(folder), "second"),
            }
        for name, value in measured.items():
            seconds.setdefault(name, []).append(value)
    machine = describe_machine()
    print(f"{args.config}, {machine['cores']} cores, {machine['cpu']}, load {machine['load']}")
    print(f"{'':26s}  median   processor   all (seconds)")
    for name, values in seconds.items():
        wall, cpu = (statistics.median(column) for column in zip(*values, strict=True))
        each = " ".join(f"{wall:.2f}" for wall, _ in values)
        print(f"{name:26s} {wall:7.2f} {cpu:11.2f}   {each}")
    if args.json:
        result = {"machine": machine, "config": args.config, "seconds": seconds}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def seconds_to_end(arguments: list[str]) -> tuple[float, float]:
    """Returns the wall and processor seconds of `python -m mmgenre.main` without training."""
    start, start_cpu = time.perf_counter(), _children_cpu()
    process = subprocess.run(_command(arguments), capture_output=True, text=True, check=False)
    if process.returncode not in (0, 2) or "Traceback" in process.stderr:
        sys.exit(f"error: {process.stderr}")
    return time.perf_counter() - start, _children_cpu() - start_cpu


def seconds_to_first_step(args: argparse.Namespace, folder: Path, name: str) -> tuple[float, float]:
    """Starts a training with its cache in `folder`, and ends it at the row of step 1."""
    arguments = [
        f"--config={args.config}",
        f"--config.data.dir={args.data}",
        f"--workdir={folder / name}",
        "--config.log_every_steps=1",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    start, start_cpu = time.perf_counter(), _children_cpu()
    process = subprocess.Popen(
        _command(arguments), env=environment, stderr=subprocess.PIPE, text=True
    )
    lines, wall = [], None
    assert process.stderr is not None
    try:
        for line in process.stderr:
            lines.append(line)
            if " [1] " in line and "train/loss" in line:
                wall = time.perf_counter() - start
                break
    finally:
        process.kill()
        process.wait()
    if wall is None:
        sys.exit(f"error: the training ended without a step:\n{''.join(lines)}")
    return wall, _children_cpu() - start_cpu


def print_programs(args: argparse.Namespace) -> None:
    """Counts the programs of a first run, and prints a table."""
    parts = ["until the first step", "rest of the epoch", "evaluation and report"]
    counts: dict[str, collections.Counter[str]] = {part: collections.Counter() for part in parts}
    seconds = dict.fromkeys(parts, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            f"--config={args.config}",
            f"--config.data.dir={args.data}",
            f"--workdir={folder}/run",
            "--config.epochs=1",
            "--config.log_every_steps=1",
        ]
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "JAX_LOG_COMPILES": "1"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        process = subprocess.Popen(
            _command(arguments),
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        part, lines = parts[0], []
        for line in process.stderr:
            lines.append(line)
            if found := _COMPILED.search(line):
                counts[part][found[1]] += 1
                seconds[part] += float(found[2])
            elif part == parts[0] and " [1] " in line and "train/loss" in line:
                part = parts[1]
            elif "trained to epoch" in line:
                part = parts[2]
        if process.wait():
            sys.exit(f"error: the training failed:\n{''.join(lines)}")
    print(f"{args.config}: {sum(each.total() for each in counts.values())} programs")
    for part in parts:
        names = ", ".join(f"{count} {name}" for name, count in counts[part].most_common())
        print(f"{part}: {counts[part].total()}, {seconds[part]:.1f} s of compiling: {names}")


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "mmgenre.main", *arguments]


if __name__ == "__main__":
    main()
