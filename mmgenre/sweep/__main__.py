"""Trains a config at every point of a grid, and ranks the points by their validation metric.

    python -m mmgenre.sweep --config configs/model2.py --grid model.lstm_dropout=0.3,0.5 seed=0,1,2
        [--config.data.dir=<prepared data set>] [--config.<setting>=<value> ...]
        [--workdir <folder>] [--trials <N> [--trials_seed <S>]]

Each point is an ordinary run in its own folder of the sweep's, trained by mmgenre.main in a process
of its own; --config.<setting>=<value> holds for all of them. Whole numbers in a list are written
64x32, or in quotes '(64,32)'. Run again, it goes on: points that are done are skipped, and one that
was interrupted resumes. With a larger grid it trains what is new. The order of the table is that of
config.selection_metric on validation; the test split has no say in it.
"""

import shlex
import sys
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from mmgenre import main as training
from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command
from mmgenre.sweep.grid import parse_grid, points
from mmgenre.sweep.place import Place
from mmgenre.sweep.runner import Plan, run


def parse_command_line(argv: Sequence[str]) -> Plan:
    """Reads and checks the command line, with every point of the grid.

    Raises:
      UserError: anything in it is wrong.
    """
    parser = ArgumentParser(
        module="mmgenre.sweep",
        usage="%(prog)s --config <file> --grid <setting>=<value>,<value> ... [options]",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--grid",
        nargs="+",
        action="extend",
        help="values to try for a setting: <setting>=<value>,<value>,...",
    )
    parser.add_argument(
        "--workdir", help="folder of the sweep, also on s3:// (default: runs/<config>-sweep)"
    )
    parser.add_argument(
        "--trials", type=int, help="number of random combinations to train, each with all seeds"
    )
    parser.add_argument(
        "--trials_seed",
        type=int,
        default=0,
        help="random seed for choosing the combinations (default: 0)",
    )
    args, arguments = parser.parse_known_args(argv[1:])
    if not args.grid:
        raise UserError("no grid; add --grid seed=0,1,2")
    parsed = training.parse_command_line([argv[0], *arguments])
    assert parsed is not None, "argparse has answered --help"
    base, _, membership = parsed
    if membership is not None:
        raise UserError(
            "a sweep is one process, which trains on all devices of its machine; start it once, "
            "without --coordinator and outside srun and mpirun"
        )
    axes = parse_grid(args.grid)
    overridden = config_flags.get_override_values(flags.FLAGS["config"])
    for name in axes:
        if name in overridden:
            raise UserError(f"{name} is set by --config.{name} and varies in --grid; choose one")
    return Plan(
        axes=axes,
        points=points(axes, base, args.trials, args.trials_seed),
        place=Place(args.workdir or f"runs/{base.name}-sweep"),
        arguments=arguments,
        resume_command=shlex.join(["python", "-m", "mmgenre.sweep", *argv[1:]]),
    )


def main() -> None:
    """The command line."""
    plan = parse_command_line(sys.argv)
    logs.log_to_stderr()
    run(plan)


if __name__ == "__main__":
    run_command(main)
