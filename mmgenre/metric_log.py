"""Where a run's metrics go: TensorBoard, the log, and `metrics.jsonl`, through CLU's writers."""

import json
from collections.abc import Mapping
from typing import Any

import jax
from clu import metric_writers
from clu.metric_writers.interface import MetricWriter

from mmgenre.run_directory import RunDirectory


class JsonLinesWriter(MetricWriter):
    """Writes scalars as one JSON object a line: {"step": 10, "train/loss": 0.5, ...}.

    The file is the record of a run: each row is there once, whatever interrupted the run, because
    opening it drops the rows after the step that the run goes on from.
    """

    def __init__(self, path: Any, *, resume_step: int):
        """Opens the file for appending, without its rows after `resume_step`."""
        rows = read_rows(path) if path.exists() else []
        kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= resume_step]
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(kept))
        temporary.replace(path)
        self._file = path.open("a")

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Appends one row."""
        row = {"step": step, **{name: float(value) for name, value in scalars.items()}}
        self._file.write(json.dumps(row) + "\n")

    def flush(self) -> None:
        """Hands all rows to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _ignore(self, *args: Any, **kwargs: Any) -> None:
        """This writer holds scalars only."""

    write_summaries = write_images = write_videos = write_audios = _ignore
    write_texts = write_histograms = write_hparams = _ignore


def create_writer(run: RunDirectory, *, resume_step: int) -> MetricWriter:
    """Returns the writer of a run that goes on from `resume_step`; only process 0 writes files."""
    if jax.process_index() != 0:
        return metric_writers.create_default_writer(just_logging=True, asynchronous=False)
    return metric_writers.MultiWriter(
        [
            metric_writers.create_default_writer(run.tensorboard, asynchronous=False),
            JsonLinesWriter(run.metrics_file, resume_step=resume_step),
        ]
    )


def read_rows(path: Any) -> list[dict[str, float]]:
    """Reads the rows of `metrics.jsonl`; a last line that was cut off in writing is left out."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
