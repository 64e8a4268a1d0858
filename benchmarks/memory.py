"""Resident memory of a training, epoch by epoch, and what of it can be accounted for.

    python -m benchmarks.memory --data <prepared data set> [--config configs/model1.py]
        [--epochs 4] [--json out.json]

Runs the real command in a process of its own and looks at it twice a second. "start" is until the
first step's row, an epoch until its validation's row, "end" the evaluation and the report. Memory
is kept in huge pages and not given back (`mmgenre/machine/cpu.py`), so that peaks last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from benchmarks.configs import load_config
from benchmarks.machine import describe_machine

_EVERY: Final = 0.5  # Seconds between two looks.


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument("--config", default="configs/model1.py", help="file, or file:variant")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints a table."""
    args = parse_args()
    peaks = train(args)
    state_mib = state_bytes(args.config, args.data) / 2**20
    machine = describe_machine()
    print(f"{args.config}, {machine['cores']} cores, {machine['cpu']}")
    print(f"parameters and the optimizer's moments: {state_mib:.0f} MiB, once on each device")
    for phase, mib in peaks.items():
        print(f"{phase:10s} {mib['resident']:6.0f} MiB, {mib['huge pages']:6.0f} in huge pages")
    if args.json:
        result = {"machine": machine, "state_mib": state_mib, "peak_mib": peaks}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def train(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Trains in a process of its own; returns the peaks of each phase in MiB."""
    peaks: dict[str, dict[str, float]] = {}
    phase, is_over = "start", threading.Event()

    def look(pid: int) -> None:
        while not is_over.wait(_EVERY):
            now = memory_mib(pid)
            kept = peaks.setdefault(phase, dict.fromkeys(now, 0.0))
            kept.update({name: max(kept[name], value) for name, value in now.items()})

    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "mmgenre.main", f"--config={args.config}"),
            *(f"--config.data.dir={args.data}", f"--workdir={folder}/run"),
            *(f"--config.epochs={args.epochs}", "--config.patience=0"),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        watch = threading.Thread(target=look, args=(process.pid,))
        watch.start()
        assert process.stderr is not None
        epoch, lines = 0, []
        for line in process.stderr:
            lines.append(line)
            if "train/loss" in line and phase == "start":
                phase = "epoch 1"
            elif "validation/loss" in line:
                epoch += 1
                phase = f"epoch {epoch + 1}" if epoch < args.epochs else "end"
        is_over.set()
        watch.join()
        process.stderr.close()
        if process.wait():
            sys.exit(f"error: the training failed:\n{''.join(lines)}")
    return peaks


def memory_mib(pid: int) -> dict[str, float]:
    """Returns what of a process is resident, in MiB; zeros where it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        text = ""
    fields = {line.split()[0]: line.split()[1] for line in text.splitlines()[1:]}
    resident, huge = (float(fields.get(name, 0)) for name in ("Rss:", "AnonHugePages:"))
    return {"resident": resident / 2**10, "huge pages": huge / 2**10}


def state_bytes(config_name: str, data: str) -> int:
    """Returns the bytes of parameters and optimizer state, once."""
    import jax

    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.training.compiled_programs import Programs

    state = Programs(load_config(config_name), open_dataset(data)).learner.state_shapes
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


if __name__ == "__main__":
    main()
