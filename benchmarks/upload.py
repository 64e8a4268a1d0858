"""Seconds that a checkpoint's way into a bucket takes, with moto's server on this machine.

    python -m benchmarks.upload [--config configs/model1.py] [--rounds 3] [--json out.json]

Saves a state of the config as a run does, once a round, and sends it as a run on s3:// does
(`mmgenre.runs.mirror`): the files, then the seal. The server is another process on the same
machine, so that this is the cost of this program and of HTTP on loopback, not that of a network.
Needs moto and s3fs (`pip install -e '.[dev]'`).
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.configs import load_config
from benchmarks.machine import describe_machine


def main() -> None:
    """Measures, and prints a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.upload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bucket():
        rounds = measure(args, Path(folder) / "run")
    machine = describe_machine()
    print(f"{args.config}, {machine['cores']} cores, {machine['cpu']}, load {machine['load']}")
    for name in rounds[0]:
        values = [each[name] for each in rounds]
        print(
            f"{name:28s} {statistics.median(values):8.2f}   {' '.join(f'{v:.2f}' for v in values)}"
        )
    if args.json:
        result = {"machine": machine, "config": args.config, "rounds": rounds}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(args: argparse.Namespace, run: Path) -> list[dict[str, float]]:
    """Returns what was measured in each round, by name."""
    import jax

    from mmgenre.runs.checkpoints import RunCheckpoints
    from mmgenre.runs.mirror import Mirror
    from mmgenre.training.learner import Learner

    state = jax.tree.map(_as_trained, Learner(load_config(args.config), 1).state_shapes.as_dict())
    mirror, rounds = Mirror("s3://bucket/run", run), []
    mirror.claim()
    with RunCheckpoints(run / "checkpoints") as checkpoints:
        for step in range(1, args.rounds + 1):
            start = time.perf_counter()
            checkpoints.save(step, state, score=float(step))
            checkpoints.wait()
            saved, cpu = time.perf_counter(), time.process_time()
            mirror.send()
            sent, sent_cpu = time.perf_counter(), time.process_time()
            files = (run / "checkpoints" / str(step)).rglob("*")
            size = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
            rounds.append(
                {
                    "MB": size,
                    "saving, s": saved - start,
                    "sending, s": sent - saved,
                    "sending, processor s": sent_cpu - cpu,
                    "sending, MB/s": size / (sent - saved),
                }
            )
    return rounds


def _as_trained(array: Any) -> np.ndarray:
    """Returns values that compress as badly as those of a network: a new Adam's are zeros."""
    return np.random.default_rng(0).normal(size=array.shape).astype(array.dtype)


@contextlib.contextmanager
def bucket() -> Iterator[None]:
    """An empty bucket of moto's server, which the environment names."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"{url}/bucket", method="PUT")
                urllib.request.urlopen(request).close()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    sys.exit("error: moto's server does not answer; pip install 'moto[s3,server]'")
                time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
