"""CLU's writers of a run's metrics: to TensorBoard and to `metrics.jsonl`."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import tensorflow as tf
from clu import metric_writers
from clu.metric_writers.interface import MetricWriter
from etils import epath
from tensorboard.compat.proto import event_pb2

from mmgenre.machine import files
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows


class JsonLinesWriter(MetricWriter):
    """Writes scalars as one JSON object a line: {"step": 10, "train/loss": 0.5, ...}.

    The file is the record of a run: each row is there once, whatever interrupted the run, because
    opening it drops the rows after the step that the run goes on from.
    """

    def __init__(self, path: epath.Path, *, resume_step: int):
        """Opens the file for appending, without its rows after `resume_step`."""
        kept = [
            json.dumps(row, allow_nan=False) + "\n"
            for row in read_rows(path)
            if row["step"] <= resume_step
        ]
        files.write_text(path, "".join(kept))
        self._file = files.open_append(path)

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Appends one row."""
        row = {"step": step, **{name: float(value) for name, value in scalars.items()}}
        self._file.write(json.dumps(row, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Makes all rows survive this process and, where the disk is local, the machine."""
        files.sync(self._file)

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
        return metric_writers.MultiWriter([])
    drop_events_after(run.tensorboard, resume_step)
    return metric_writers.MultiWriter(
        [
            metric_writers.SummaryWriter(os.fspath(run.tensorboard)),
            JsonLinesWriter(run.metrics_file, resume_step=resume_step),
        ]
    )


def drop_events_after(folder: epath.Path, resume_step: int) -> None:
    """Rewrites TensorBoard's files without the events after `resume_step`.

    A resumed run computes those steps again; TensorBoard would show them twice.
    """
    if not folder.exists():
        return
    files.sweep(folder)  # TensorBoard would read what a run left that was killed here.
    for path in sorted(folder.glob("events.out.tfevents.*")):
        events = list(read_events(path))
        kept = [event for event in events if event.step <= resume_step]
        if len(kept) == len(events):
            continue
        with (
            files.replacing(path) as temporary,
            tf.io.TFRecordWriter(os.fspath(temporary)) as writer,
        ):
            for event in kept:
                writer.write(event.SerializeToString())


def read_events(path: epath.Path) -> Iterator[event_pb2.Event]:
    """Yields the events of one of TensorBoard's files, up to where it was cut off in writing."""
    try:
        for record in tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator():
            yield event_pb2.Event.FromString(record)
    except tf.errors.DataLossError:
        return
