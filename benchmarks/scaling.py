"""Movies per second by number of devices and processes.

    python -m benchmarks.scaling --data <prepared data set> [--config configs/model1.py]
        [--layouts 1x1 1x2 1x4 2x1] [--steps 20] [--json out.json]

A layout is <processes>x<devices of each>. Without GPUs the devices are simulated: they share the
cores of this machine, so the numbers show what parallel execution costs, not what it gains. With
GPUs, `1x<n>` uses n of them in one process and `<n>x1` one in each of n processes. Each layout is
trained by its own processes, on the same global batch, from the same data; compilation is not
counted. Every layout must end with the same loss: that is checked.
"""

import argparse
import functools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.configs import load_config
from benchmarks.machine import describe_machine

DEFAULT_LAYOUTS = ("1x1", "1x2", "1x4", "2x1")


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--batch_size", type=int, help="global batch (default: the config's)")
    parser.add_argument("--layouts", nargs="+", default=DEFAULT_LAYOUTS)
    parser.add_argument("--steps", type=int, default=20, help="timed steps, after two of warm-up")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Runs each layout and prints a table."""
    args = parse_args()
    if args.worker:
        print(json.dumps(measure(args, **json.loads(args.worker))))
        return
    machine = describe_machine()
    results = {layout: run_layout(args, layout) for layout in args.layouts}
    first = next(iter(results.values()))
    print(f"{machine['cores']} cores, {machine['cpu']}, load {machine['load']} at the start")
    print(f"{args.config}, global batch {first['batch_size']}, {first['device']}")
    print("layout  movies/s  relative  ms/step  all-reduce bytes/step  loss")
    for layout, result in results.items():
        relative = result["movies_per_second"] / first["movies_per_second"]
        ms_per_step = 1000 * result["batch_size"] / result["movies_per_second"]
        print(
            f"{layout:6s} {result['movies_per_second']:9.1f} {relative:9.2f} {ms_per_step:8.1f} "
            f"{result['gradient_bytes']:22,d}  {result['loss']:.6f}"
        )
        assert abs(result["loss"] - first["loss"]) < 1e-3 * first["loss"], "layouts differ"
    if args.json:
        record = {"machine": machine, "config": args.config, "layouts": results}
        args.json.write_text(json.dumps(record, indent=2) + "\n")


def run_layout(args: argparse.Namespace, layout: str) -> dict[str, Any]:
    """Starts the processes of a layout and returns what the first measured."""
    num_processes, num_devices = map(int, layout.split("x"))
    with socket.socket() as server:
        server.bind(("", 0))
        port = server.getsockname()[1]
    workers = []
    for process_id in range(num_processes):
        place = {"num_processes": num_processes, "process_id": process_id, "port": port}
        first_gpu = process_id * num_devices
        env = {
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
            "CUDA_VISIBLE_DEVICES": ",".join(
                str(first_gpu + index) for index in range(num_devices)
            ),
        }
        command = [sys.executable, "-m", "benchmarks.scaling", *sys.argv[1:]]
        workers.append(
            subprocess.Popen(
                [*command, "--worker", json.dumps(place)],
                env=env,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        sys.exit(f"error: layout {layout} failed; see above")
    return json.loads(outputs[0].splitlines()[-1])


def measure(
    args: argparse.Namespace, *, num_processes: int, process_id: int, port: int
) -> dict[str, Any]:
    """Trains `args.steps` steps as one of the processes of a layout."""
    from mmgenre.distributed.cluster import Cluster
    from mmgenre.distributed.process_place import Membership

    place = (f"localhost:{port}", num_processes, process_id)
    with Cluster(Membership.detect(*place, {})):
        import jax

        from mmgenre import schema
        from mmgenre.dataset.batch_plan import plan_training_epoch
        from mmgenre.dataset.pipeline import MovieSource
        from mmgenre.dataset.prepared import open_dataset
        from mmgenre.distributed import device_mapping
        from mmgenre.training.learner import Learner

        config = load_config(args.config)
        batch_size = args.batch_size or config.batch_size
        device_mapping.check_batch_size(batch_size)
        source = MovieSource(open_dataset(args.data), schema.TRAIN, config.data)
        # All batches of one length: one compilation, and all steps alike.
        plan = functools.partial(
            plan_training_epoch,
            source.num_tokens,
            batch_size=batch_size,
            bucket_lengths=(config.data.max_tokens,),
            seed=config.seed,
        )
        learner = Learner(config, args.steps + 2)
        state = learner.initial_state()
        step = device_mapping.pmap_train_step(learner.train_step)
        rows, done, epoch = device_mapping.local_rows(batch_size), 0, 0
        while done < args.steps + 2:
            for batch in source.batches(plan(epoch=epoch), rows=rows):
                state, sums = step(state, batch)
                done += 1
                if done <= 2:  # The second compiles, too: the state now comes from `pmap`.
                    jax.block_until_ready(sums)
                    start = time.perf_counter()
                if done == args.steps + 2:
                    break
            epoch += 1
        sums = jax.device_get(sums)
        seconds = time.perf_counter() - start
        return {
            "movies_per_second": args.steps * batch_size / seconds,
            "batch_size": batch_size,
            "loss": float(sums["loss"] / sums["num_labels"]),
            "gradient_bytes": sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state.params)),
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        }


if __name__ == "__main__":
    main()
