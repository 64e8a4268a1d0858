"""Trains without evaluating, several runs in one process: `python -m tests.train_only '<json>'`.

The JSON: {"config": <Config as JSON>, "jobs": [{"workdir": ..., "epochs": ..., "dropout": ...}],
"coordinator": ..., "num_processes": ..., "process_id": ...}.
"""

import dataclasses
import json
import sys

from etils import epath

from mmgenre.config import Config
from mmgenre.dataset.prepared import open_dataset
from mmgenre.distributed import cluster
from mmgenre.distributed.cluster import Cluster
from mmgenre.distributed.process_place import Membership
from mmgenre.machine import signals
from mmgenre.machine.command_line import run_command
from mmgenre.runs.directory import RunDirectory


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
    cluster.on_first_process(lambda: RunDirectory.start(workdir, config, dataset) and None)
    with signals.graceful():
        trainer(config, dataset, RunDirectory(workdir)).train()


if __name__ == "__main__":
    run_command(main)
