"""Progress on stderr: bars with rate and time left on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Iterator

import tqdm

from mmgenre.machine.progress import Lines


class Bar(Lines):
    """The lines of a stage, and a last one with the final figures."""

    def close(self) -> None:
        """Shows the final figures."""
        if self._shown:
            self.show()


class Progress:
    """Where stages report to.

    Args:
      mode: "auto" shows bars on a terminal and lines elsewhere; "lines"; "none" is silent;
        "bars" is silent but for the bars on a terminal.
    """

    def __init__(self, mode: str = "auto"):
        self.mode = mode
        self._speaks = mode in ("auto", "lines")

    @contextlib.contextmanager
    def bar(self, stage: str, total: int | None, unit: str) -> Iterator[Bar | tqdm.tqdm]:
        """Yields something with `update(count)`; `total` None where it is not known."""
        bar: Bar | tqdm.tqdm
        if self.mode in ("auto", "bars") and sys.stderr.isatty():
            bar = tqdm.tqdm(total=total, desc=f"{stage:9}", unit=f" {unit}", dynamic_ncols=True)
        else:
            bar = Bar(stage, total, unit, shown=self._speaks)
        try:
            yield bar
        finally:
            bar.close()

    def skipped(self, stage: str) -> None:
        """Says that a stage was done by an earlier run."""
        self.note(f"{stage}: done before, its inputs have not changed")

    def note(self, text: str) -> None:
        """Prints one line."""
        if self._speaks:
            tqdm.tqdm.write(text, file=sys.stderr)

    def result(self, text: str) -> None:
        """Prints a command's result, on stdout."""
        if self._speaks:
            print(text, flush=True)
