"""Progress on stderr: bars with rate and time left on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Final

import tqdm

_LINE_EVERY: Final = 10.0  # Seconds between two plain lines.


class Bar:
    """Counts the items of a stage, and shows it as a line now and then."""

    def __init__(self, stage: str, total: int | None, unit: str, shown: bool):
        self._stage, self._total, self._unit, self._shown = stage, total, unit, shown
        self._start = self._last = time.monotonic()
        self._count = 0

    def update(self, count: int = 1) -> None:
        """Adds `count` items."""
        self._count += count
        if self._shown and time.monotonic() - self._last >= _LINE_EVERY:
            self._last = time.monotonic()
            self._print()

    def close(self) -> None:
        """Shows the final figures."""
        if self._shown:
            self._print()

    def _print(self) -> None:
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = self._count / seconds
        line = f"{self._stage}: {self._count:,}"
        if self._total is not None:
            line += f" of {self._total:,}"
        line += f" {self._unit}, {rate:,.0f} per second"
        if self._total and rate and self._count < self._total:
            line += f", {(self._total - self._count) / rate:,.0f} s left"
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Where stages report to.

    Args:
      mode: "auto" shows bars on a terminal and lines elsewhere; "lines"; "none" is silent.
    """

    def __init__(self, mode: str = "auto"):
        self.mode = mode

    @contextlib.contextmanager
    def bar(self, stage: str, total: int | None, unit: str) -> Iterator[Bar | tqdm.tqdm]:
        """Yields something with `update(count)`; `total` None where it is not known."""
        bar: Bar | tqdm.tqdm
        if self.mode == "auto" and sys.stderr.isatty():
            bar = tqdm.tqdm(total=total, desc=f"{stage:9}", unit=f" {unit}", dynamic_ncols=True)
        else:
            bar = Bar(stage, total, unit, shown=self.mode != "none")
        try:
            yield bar
        finally:
            bar.close()

    def skipped(self, stage: str) -> None:
        """Says that a stage was done by an earlier run."""
        self.note(f"{stage}: done before, its inputs have not changed")

    def note(self, text: str) -> None:
        """Prints one line."""
        if self.mode != "none":
            tqdm.tqdm.write(text, file=sys.stderr)

    def result(self, text: str) -> None:
        """Prints a command's result, on stdout."""
        if self.mode != "none":
            print(text, flush=True)
