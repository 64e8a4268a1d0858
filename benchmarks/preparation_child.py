"""Prepares a data set in this process, and prints what each stage took as a line of JSON."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from data_prep.prepare import PrepareConfig, prepare
from data_prep.workspace.progress import Bar, Progress

_EVERY = 0.05  # Seconds between two looks at memory.


class Memory:
    """Samples the resident memory of this process and its children, MiB, in a thread."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._process = psutil.Process()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.sample()
            time.sleep(_EVERY)

    def sample(self) -> None:
        """Looks once."""
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak = max(self.peak, total / 2**20)


class Recorder(Progress):
    """Notes the time and peak memory of each stage."""

    def __init__(self) -> None:
        super().__init__("none")
        self.memory = Memory()
        self.stages: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def bar(self, stage: str, total: int | None, unit: str) -> Iterator[Bar]:
        """Times the block."""
        self.memory.peak = 0.0
        self.memory.sample()
        start = time.perf_counter()
        yield Bar(stage, total, unit, shown=False)
        self.memory.sample()
        self.stages[stage] = {
            "seconds": time.perf_counter() - start,
            "mib": self.memory.peak,
        }


def main() -> None:
    """Takes the config as JSON."""
    fields: dict[str, Any] = json.loads(sys.argv[1])
    if fields.get("fallback_widths") is not None:
        fields["fallback_widths"] = tuple(fields["fallback_widths"])
    recorder = Recorder()
    start = time.perf_counter()
    dataset = prepare(PrepareConfig(**fields, progress="none"), recorder)
    seconds = time.perf_counter() - start
    num_movies = sum(split.num_movies for split in dataset.info.splits.values())
    stages = recorder.stages
    stages["whole"] = {"seconds": seconds, "mib": max(s["mib"] for s in stages.values())}
    for figures in stages.values():
        figures["movies"] = num_movies
    print(json.dumps(stages))


if __name__ == "__main__":
    main()
