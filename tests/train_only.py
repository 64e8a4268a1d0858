"""Trains without evaluating, several runs in one process: `python -m tests.train_only '<json>'`.

The JSON: {"config": <Config as JSON>, "jobs": [{"workdir": ..., "epochs": ..., "dropout": ...,
"resumes": ...}], "coordinator": ..., "num_processes": ..., "process_id": ...}. A job that resumes
waits for the end of that other run, whoever trains it, and goes on from its last checkpoint but
one. So one process, which imports and compiles once, does several jobs.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

from etils import epath

from mmgenre.config import Config
from mmgenre.dataset.prepared import open_dataset
from mmgenre.distributed import cluster
from mmgenre.distributed.cluster import Cluster
from mmgenre.distributed.process_place import Membership
from mmgenre.machine import signals
from mmgenre.machine.command_line import run_command
from mmgenre.runs.directory import RunDirectory
from tests.scale_helpers import copy_without_newest

_END = ".trained"
"""Behind a run's name: a file that is there once it is trained."""


def main() -> None:
    fields = json.loads(sys.argv[1])
    config = Config.from_json(fields["config"])
    dataset = open_dataset(config.data.dir)
    places = (fields.get(name) for name in ("coordinator", "num_processes", "process_id"))
    signals.stop_at_once()
    with Cluster(Membership.detect(*places, {})):
        from mmgenre.training.trainer import Trainer

        for job in fields["jobs"]:
            train_job(Trainer, config, dataset, job)


def train_job(trainer, config, dataset, job) -> None:
    rates = dict.fromkeys(("cnn_dropout", "lstm_dropout", "head_dropout"), job.get("dropout", 0.0))
    model = dataclasses.replace(config.model, **rates)
    config = dataclasses.replace(config, model=model, epochs=job["epochs"])
    workdir = epath.Path(job["workdir"])

    def start() -> None:
        if origin := job.get("resumes"):
            copy_without_newest(_ended(Path(origin)), Path(workdir))
        RunDirectory.start(workdir, config, dataset)

    cluster.on_first_process(start)
    with signals.graceful():
        trainer(config, dataset, RunDirectory(workdir)).train()
    cluster.on_first_process(Path(f"{workdir}{_END}").touch)


def _ended(workdir: Path) -> Path:
    deadline = time.monotonic() + 300
    while not Path(f"{workdir}{_END}").exists():
        assert time.monotonic() < deadline, f"{workdir} was not trained"
        time.sleep(0.1)
    return workdir


if __name__ == "__main__":
    run_command(main)
