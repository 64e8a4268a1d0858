"""Apache Beam, which is an extra: its runners, and a pipeline on one of them."""

import contextlib
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final

from mmgenre.errors import UserError

RUNNERS: Final = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")

_WORKER_SAYS: Final = re.compile(
    rf"{UserError.__module__}\.{UserError.__qualname__}: (.+?)(?: \[while running .*)?$",
    re.MULTILINE,
)
"""A user's mistake in what a worker's traceback says, whatever the runner made of it."""


def import_beam() -> Any:
    """Returns the package; raises UserError where it is not installed."""
    try:
        import apache_beam
    except ImportError as error:
        raise UserError(
            "--runner needs Apache Beam; install it with: pip install -e '.[beam]'"
        ) from error
    return apache_beam


@contextlib.contextmanager
def pipeline(runner: str | None, options: Sequence[str]) -> Iterator[Any]:
    """Yields a pipeline, which runs when the block ends, to its end.

    Args:
      runner: one of `RUNNERS`.
      options: further ones, as on a command line.

    Raises:
      UserError: Beam is not installed, or a worker met a mistake of the user's.
    """
    beam = import_beam()
    try:
        with beam.Pipeline(options=pipeline_options(runner, options)) as pipeline:
            yield pipeline
    except UserError:
        raise
    except Exception as error:  # Runners raise what they like, with the worker's traceback in it.
        said = _WORKER_SAYS.findall("".join(traceback.format_exception(error)))
        if not said:
            raise
        raise UserError(said[-1]) from error


def pipeline_options(runner: str | None, options: Sequence[str]) -> Any:
    """Returns the options of a pipeline on a runner, further ones as on a command line."""
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions([f"--runner={runner}", *options])
