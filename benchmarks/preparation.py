"""The cost of preparation: movies a second and peak memory by stage, ratios to bare libraries.

    python -m benchmarks.preparation --sample <folder with movies_metadata.csv and posters/>

Measures, and prints as tables (and writes as JSON with --out):
  - preparing the sample from its folder, and from a server on loopback;
  - preparing generated movies, 100,000 and a tenth of that: the rate must not fall with the number
    of movies, and memory must stay flat but for what `docs/data.md` lists;
  - decoding, as a ratio to a bare Pillow loop on the same files with as many processes;
  - fetching, as a ratio to the bare HTTP client asking for the same addresses, as many at a time.

Memory is the resident memory of the process and its workers together, sampled; pages that they
share are counted once for each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks import preparation_bare, preparation_inputs

STAGES = ("read", "fetch", "decode", "split", "tokenise", "write", "index", "whole")


def measure(**config: Any) -> dict[str, dict[str, float]]:
    """Prepares in a process of its own; returns the figures of each stage."""
    command = [sys.executable, "-m", "benchmarks.preparation_child", json.dumps(config)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def stage_table(runs: dict[str, dict[str, dict[str, float]]]) -> str:
    """Movies per second and peak memory by stage, a column a run."""
    rows = []
    for stage in STAGES:
        cells = [stage]
        for run in runs.values():
            figures = run.get(stage)
            if figures is None:
                cells += ["", "", ""]
            else:
                rate = figures["movies"] / max(figures["seconds"], 1e-9)
                cells += [f"{figures['seconds']:.1f}", f"{rate:,.0f}", f"{figures['mib']:,.0f}"]
        rows.append(cells)
    head = ["", *(f"{name}: {unit}" for name in runs for unit in ("s", "movies/s", "MiB"))]
    return tabulate(rows, head, colalign=("left", *("right" for _ in head[1:])))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preparation")
    parser.add_argument(
        "--sample", type=Path, help="movies_metadata.csv and posters/ of real movies"
    )
    parser.add_argument("--generated", type=int, default=100_000, help="movies to generate")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3, help="of ratios; the medians count")
    parser.add_argument("--scratch", type=Path, help="folder for what is written (default: /tmp)")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="mmgenre-bench-") as scratch:
        if options.sample:
            results |= _sample(options, Path(scratch))
        if options.generated:
            results["generated"] = _generated(options, Path(scratch))
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


def _sample(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    common = {
        "metadata": str(options.sample / "movies_metadata.csv"),
        "processes": options.processes,
        "concurrency": options.concurrency,
    }
    posters = options.sample / "posters"
    runs = {"folder": measure(posters=str(posters), out=str(scratch / "a"), **common)}
    served = preparation_inputs.server_folder(posters, scratch / "served")
    with preparation_bare.served(served) as base:
        runs["loopback"] = measure(
            posters=base, out=str(scratch / "b"), fallback_widths=[], **common
        )
        print(stage_table(runs), flush=True)
        fetching = preparation_bare.fetch_ratio(
            base, scratch / "b", options.concurrency, options.repeat, scratch
        )
    decoding = preparation_bare.decode_ratio(
        posters, options.processes, options.repeat, scratch / "a"
    )
    print("\n" + preparation_bare.ratio_table({"decoding": decoding, "fetching": fetching}))
    return {"sample": runs, "decoding": decoding, "fetching": fetching}


def _generated(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    runs = {}
    for num_movies in (options.generated // 10, options.generated):
        folder = scratch / str(num_movies)
        preparation_inputs.generate(folder, num_movies)
        runs[f"{num_movies:,}"] = measure(
            metadata=str(folder / "movies_metadata.csv"),
            posters=str(folder / "posters"),
            out=str(folder / "out"),
            processes=options.processes,
        )
    print("\n" + stage_table(runs), flush=True)
    return runs


if __name__ == "__main__":
    main()
