"""The time that a prediction takes: the first one of a new process, then warm ones, stage by stage.

    python -m benchmarks.prediction --run runs/model1 --poster p.jpg --overview "A boy finds ..."

Prints medians, with 10th and 90th percentiles. For two cores: taskset -c 0,1 python -m ...
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from mmgenre.machine import logs
from mmgenre.machine.command_line import run_command

OVERVIEW = (
    "A boy finds a map in the attic of his late grandfather, a sailor who never spoke of the sea. "
    "With his best friend and a stolen boat he sets out for an island that nobody has come back "
    "from, while the men who want the map for themselves are never more than a day behind."
)


def measure_cold(run: str, poster: str, overview: str, repeats: int) -> np.ndarray:
    """Returns the seconds <float>[repeats] of whole processes that predict once."""
    command = [sys.executable, "-m", "mmgenre.predict", "--run", run, "--overview", overview]
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([*command, "--poster", poster], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return np.asarray(seconds)


def measure_warm(run: str, poster: str, overview: str, repeats: int) -> dict[str, np.ndarray]:
    """Returns the seconds <float>[repeats] of each stage, and of "all" by `predict` itself."""
    from mmgenre.inputs.poster_decoder import decode_poster
    from mmgenre.inputs.poster_source import read_poster
    from mmgenre.prediction.predictor import GenrePredictor

    predictor = GenrePredictor.load(run)
    data = read_poster(poster)
    pixels, tokens = decode_poster(data), predictor.encode(overview)
    batch = predictor.batch([pixels], [tokens])
    logits = predictor.logits([pixels], [tokens])
    stages: dict[str, Callable[[], object]] = {
        "all": lambda: predictor.predict(posters=[poster], overviews=[overview]),
        "read the file": lambda: read_poster(poster),
        "decode the poster": lambda: decode_poster(data),
        "tokenise the overview": lambda: predictor.encode(overview),
        "build the batch": lambda: predictor.batch([pixels], [tokens]),
        "run the model": lambda: np.asarray(predictor._predict_step(predictor.params, batch)),
        "probabilities, thresholds": lambda: predictor.answer(
            logits[0], has_poster=True, has_overview=True
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(repeats + 10):  # Stages in turn, so that they share the machine's moods.
        for name, stage in stages.items():
            start = time.perf_counter()
            stage()
            if number >= 10:
                seconds[name].append(time.perf_counter() - start)
    return {name: np.asarray(values) for name, values in seconds.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--poster", type=Path, required=True)
    parser.add_argument("--overview", default=OVERVIEW)
    parser.add_argument("--repeats", type=int, default=300, help="warm predictions")
    parser.add_argument("--cold", type=int, default=5, help="processes")
    args = parser.parse_args()
    poster = str(args.poster)
    logs.quiet_libraries()
    cold = measure_cold(args.run, poster, args.overview, args.cold)
    print(f"cores: {len(os.sched_getaffinity(0))}; load: {os.getloadavg()[0]:.1f}")
    print(f"cold, whole process: median {np.median(cold):.2f} s, slowest {cold.max():.2f} s")
    warm = measure_warm(args.run, poster, args.overview, args.repeats)
    whole = np.median(warm["all"])
    rows = [
        [name, *(1000 * np.percentile(v, (50, 10, 90))), f"{np.median(v) / whole:.0%}"]
        for name, v in warm.items()
    ]
    headers = ["warm, one movie", "median ms", "p10", "p90", "share"]
    print(tabulate(rows, headers=headers, floatfmt=".2f"))


if __name__ == "__main__":
    run_command(main)
