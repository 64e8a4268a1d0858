"""Evaluates a finished run on a split of any prepared data set.

python -m mmgenre.evaluate --run runs/model1 --data data/movies --split test
"""

import argparse

from etils import epath

from mmgenre import schema
from mmgenre.machine import compilation_cache, cpu, devices, files, logs
from mmgenre.machine.command_line import ArgumentParser, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line: `run`, `data`, `split`, `out` and `full`."""
    parser = ArgumentParser(
        module="mmgenre.evaluate",
        description=__doc__,
    )
    parser.add_argument("--run", required=True, help="run directory")
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument(
        "--split", default=schema.TEST, choices=schema.SPLITS, help="split to evaluate on"
    )
    parser.add_argument(
        "--out", type=epath.Path, help="JSON file for all metrics (default: in the run directory)"
    )
    parser.add_argument("--full", action="store_true", help="print every metric, in wide tables")
    return parser.parse_args(arguments)


def main() -> None:
    """The command line."""
    args = parse_args()
    logs.warn_on_stderr()
    # JAX and TensorFlow take seconds to import: first what needs neither of them.
    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.runs import workplace
    from mmgenre.runs.directory import RunDirectory

    if args.out is not None:
        files.require_new(args.out)
        files.require_folder(args.out)
    run, dataset = RunDirectory.open(args.run), open_dataset(args.data)
    compilation_cache.enable()
    cpu.use_all_cores(run.load_config().batch_size)
    devices.start()
    from mmgenre.evaluation.evaluate_run import evaluate_and_write

    with workplace.results_sent(args.run):
        evaluate_and_write(run, dataset, args.split, args.out, full=args.full)


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
