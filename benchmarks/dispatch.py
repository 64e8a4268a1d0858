"""What starting a pmap'd step costs the host, by the arrays of its state and by processes.

    python -m benchmarks.dispatch [--leaves 1 20 77] [--processes 2]

A step that adds 1 to small arrays and exchanges nothing, on one CPU device a process: what is left
is JAX's own work in Python. Model 1's state has 77 arrays. Prints the median milliseconds until a
call returns, in process 0.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

_CALLS = 300


def measure(leaves: int) -> float:
    """Returns the median milliseconds of a call with a state of so many arrays."""
    import jax
    import numpy as np

    def add(state: dict[str, jax.Array], row: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        return {name: value + 1 for name, value in state.items()}, row

    step = jax.pmap(add, axis_name="batch", in_axes=(None, 0), out_axes=(None, 0), donate_argnums=0)
    rows = np.zeros((jax.local_device_count(), 1), np.float32)
    state = {f"leaf{index}": np.zeros(8, np.float32) for index in range(leaves)}
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        state, out = step(state, rows)
        seconds.append(time.perf_counter() - start)
        jax.block_until_ready((state, out))
    return 1e3 * statistics.median(seconds[_CALLS // 10 :])


def child(process_id: int, num_processes: int, port: int, leaves: list[int]) -> None:
    """Measures in one of the processes; process 0 prints."""
    import jax

    if num_processes > 1:
        jax.distributed.initialize(f"localhost:{port}", num_processes, process_id)
    found = {count: measure(count) for count in leaves}
    if process_id == 0:
        print(json.dumps(found))


def main() -> None:
    """Starts the processes of each layout and prints a row for each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dispatch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--leaves", type=int, nargs="+", default=[1, 20, 77])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        process_id, num_processes, port = args.child
        child(process_id, num_processes, port, args.leaves)
        return
    for num_processes in dict.fromkeys((1, args.processes)):
        with socket.socket() as server:
            server.bind(("", 0))
            port = server.getsockname()[1]
        leaves = map(str, args.leaves)
        command = [sys.executable, "-m", "benchmarks.dispatch", "--leaves", *leaves, "--child"]
        processes = [
            subprocess.Popen(
                [*command, str(index), str(num_processes), str(port)],
                env={**os.environ, "JAX_PLATFORMS": "cpu"},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for index in range(num_processes)
        ]
        outputs = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            sys.exit(f"error: a process ended with code {max(p.returncode for p in processes)}")
        line = next(text for text in outputs[0].splitlines() if text.startswith("{"))
        row = ", ".join(f"{count} arrays {ms:.3f} ms" for count, ms in json.loads(line).items())
        print(f"{num_processes} processes: {row}", flush=True)


if __name__ == "__main__":
    main()
