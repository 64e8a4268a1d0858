"""Progress of long work on stderr: bars with rate and time left on a terminal, else plain lines.

Imports nothing heavy.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

from tqdm import tqdm

_LINE_EVERY: Final = 10.0  # Seconds between two plain lines.
_REDRAW_EVERY: Final = 1.0


class Lines:
    """Counts items, and shows their number as a line now and then."""

    def __init__(self, name: str, total: int | None, unit: str, shown: bool, initial: int = 0):
        """Starts the clock; `initial` items were done before."""
        self._name, self._total, self._unit, self._shown = name, total, unit, shown
        self._start = self._last = time.monotonic()
        self._count = self._initial = initial

    def update(self, count: int = 1) -> None:
        """Adds `count` items."""
        self._count += count
        if self._shown and time.monotonic() - self._last >= _LINE_EVERY:
            self._last = time.monotonic()
            self.show()

    def leave_out(self, seconds: float) -> None:
        """Keeps seconds of no item, such as those of compiling, out of the rate and time left."""
        self._start += seconds

    def show(self) -> None:
        """Prints the figures of now."""
        rate = (self._count - self._initial) / max(time.monotonic() - self._start, 1e-9)
        line = f"{self._name}: {self._count:,}"
        if self._total is not None:
            line += f" of {self._total:,}"
        line += f" {self._unit}, {rate:,.{1 if rate < 10 else 0}f} per second"
        if self._total and rate and self._count < self._total:
            line += f", {(self._total - self._count) / rate:,.0f} s left"
        tqdm.write(line, file=sys.stderr)


class Bar(tqdm):
    """As `Lines`, on a terminal."""

    def leave_out(self, seconds: float) -> None:
        """See `Lines.leave_out`; the time that has passed is shown as it is."""
        self.last_print_t += seconds  # Of which the next update makes a rate.


@contextlib.contextmanager
def phase(
    name: str, total: int | None, unit: str, *, initial: int = 0, shown: bool = True
) -> Iterator[Lines | Bar]:
    """Shows a phase of a command while it lasts; yields something with `update(count)`.

    On a terminal it is a bar that goes away at the end. Elsewhere it is a line every ten seconds: a
    short phase says nothing.

    Args:
      name: of the phase.
      total: of items; None where it is not known.
      unit: what the items are, in the plural.
      initial: items that were done before.
      shown: whether to show anything, as in the first one of several processes.
    """
    if not (shown and sys.stderr is not None and sys.stderr.isatty()):
        yield Lines(name, total, unit, shown, initial)
        return
    bar = Bar(
        total=total,
        initial=initial,
        desc=name,
        unit=f" {unit}",
        leave=False,
        dynamic_ncols=True,
        file=sys.stderr,
    )
    with contextlib.closing(bar), _redrawn(bar):
        yield bar


@contextlib.contextmanager
def _redrawn(bar: tqdm) -> Iterator[None]:
    """Lets a bar show the time that passes, too, where an item takes long: compiling, say."""
    ended = threading.Event()

    def redraw() -> None:
        while not ended.wait(_REDRAW_EVERY):
            bar.refresh()

    thread = threading.Thread(target=redraw, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
