"""Movies to measure with on a machine without a data set, and what is told to a worker. NumPy only.

Posters and words are random; they decide no time. Lengths do: they follow those of 8,913 overviews
of The Movies Dataset, so that length buckets gain what they gain on real text.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np

NUM_GENRES: Final = 18
POSTER_SHAPE: Final = (64, 64, 3)

# Tokens of an overview at each 20th of the movies, from the shortest to the longest.
_QUANTILES: Final = (
    *(5, 19, 23, 26, 29, 33, 36, 40, 44, 49, 54, 59, 64, 69, 74, 78, 83, 90, 104, 130, 219),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
      framework: "mmgenre" or "PyTorch".
      variant: what a reader is told about it.
      batch_size: movies in a step.
      dtype: "float32" or "bfloat16" (with PyTorch: autocast).
      tokens: "full" pads all overviews to the longest length; "real" pads batches of similar
        lengths to the lengths of the plan.
      mode: "resident", or "host": batches are gathered there and sent.
      lstm: `ModelConfig.lstm_kernel`.
      steps_per_dispatch: see `Config`.
      is_whole: whether an epoch has its validation: predicted, and ranked on the host.
    """

    framework: str
    variant: str
    batch_size: int
    dtype: Literal["float32", "bfloat16"]
    tokens: str
    mode: str = "resident"
    lstm: str = "auto"
    steps_per_dispatch: int = 1
    is_whole: bool = False


def make_movies(
    num_movies: int, *, vocabulary_size: int, max_tokens: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns movies as `MovieSource.read_arrays` does, with their "num_tokens" <int32>[movies]."""
    generator = np.random.default_rng(seed)
    places = np.linspace(0, 1, len(_QUANTILES))
    num_tokens = np.interp(generator.random(num_movies), places, _QUANTILES).astype(np.int32)
    tokens = generator.integers(2, vocabulary_size, (num_movies, max_tokens), dtype=np.int32)
    tokens[np.arange(max_tokens) >= num_tokens[:, None]] = 0
    return {
        "poster": generator.integers(0, 256, (num_movies, *POSTER_SHAPE), dtype=np.uint8),
        "tokens": tokens,
        "labels": (generator.random((num_movies, NUM_GENRES)) < 0.12).astype(np.uint8),
        "num_tokens": num_tokens,
    }


def serve(run_epochs: dict[str, Callable[[], float]], answer: Callable[[Any], None]) -> None:
    """Lets the parent process measure: reads names of cases, answers with the seconds of an epoch.

    Compiles and warms up each of them first. What fails is answered, too, and left out.
    """
    ready: dict[str, Any] = {}
    for name, run_epoch in run_epochs.items():
        try:
            ready[name] = {"first_seconds": run_epoch()}
            run_epoch()
        except Exception as error:  # Such as a kernel that this machine cannot compile.
            ready[name] = {"error": _short(error)}
        print(f"{name}: ready", file=sys.stderr, flush=True)
    answer(ready)
    for line in sys.stdin:
        try:
            answer(run_epochs[line.strip()]())
        except Exception as error:
            answer({"error": _short(error)})


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
