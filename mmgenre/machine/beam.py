"""Apache Beam, which is an extra: its runners, and a pipeline on one of them."""

from collections.abc import Sequence
from typing import Any, Final

from mmgenre.errors import UserError

RUNNERS: Final = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")


def import_beam() -> Any:
    """Returns the package; raises UserError where it is not installed."""
    try:
        import apache_beam
    except ImportError as error:
        raise UserError(
            "--runner needs Apache Beam; install it with: pip install -e '.[beam]'"
        ) from error
    return apache_beam


def pipeline_options(runner: str | None, options: Sequence[str]) -> Any:
    """Returns the options of a pipeline on a runner, further ones as on a command line."""
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions([f"--runner={runner}", *options])
