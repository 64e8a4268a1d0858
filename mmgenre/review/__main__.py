"""Finds labels that look wrong, and genres that look missing, by models that never saw the movie.

    python -m mmgenre.review --data <prepared data set> --config configs/model2.py [--folds 5]
        [--out <folder>] [--config.<setting>=<value> ...]

The movies are dealt out to folds, copies of a movie to the same one. For each fold the config is
trained on the others, and judges the fold. The labels that contradict the judgement most clearly
are written, in their order, into labels.csv and the page review.html. Where a reader writes yes
into the column accept, `prepare --label-corrections labels.csv` corrects the label. Run again
after an interruption, the command goes on.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from mmgenre import main as training
from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import compilation_cache, cpu, files, logs, signals
from mmgenre.machine.command_line import ArgumentParser, run_command
from mmgenre.review.request import ReviewRequest


def parse_command_line(argv: Sequence[str]) -> ReviewRequest:
    """Reads and checks the command line; raises UserError where anything in it is wrong."""
    parser = ArgumentParser(
        module="mmgenre.review",
        usage="%(prog)s --data <data set> --config <file> [options]",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("--data", help="folder of a prepared data set")
    parser.add_argument(
        "--folds", type=int, default=5, help="number of models to train (default: %(default)s)"
    )
    parser.add_argument("--out", help="folder of the review (default: runs/<config>-review)")
    parser.add_argument(
        "--splits",
        nargs="+",
        choices=schema.SPLITS,
        help="splits whose movies are reviewed and trained on (default: all)",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=1_000,
        help="number of labels to list in the table (default: %(default)s)",
    )
    parser.add_argument(
        "--explain",
        type=int,
        default=20,
        metavar="N",
        help="number of movies to explain on the page, by words and regions (default: %(default)s)",
    )
    args, arguments = parser.parse_known_args(argv[1:])
    if not args.data:
        raise UserError("no data set; add --data <folder of a prepared data set>")
    for option in arguments:
        if option.split("=")[0] in ("--workdir", "--config.data.dir"):
            other = "--out" if "workdir" in option else "--data"
            raise UserError(f"a review has no {option.split('=')[0]}; give the folder with {other}")
    for name, lowest in (("folds", 2), ("rows", 1), ("explain", 0)):
        if getattr(args, name) < lowest:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be at least {lowest}")
    parsed = training.parse_command_line([argv[0], *arguments])
    assert parsed is not None, "argparse has answered --help"
    config, _, membership = parsed
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=args.data))
    if membership is not None:
        raise UserError(
            "a review is one process, which trains on all devices of its machine; start it once, "
            "without --coordinator and outside srun and mpirun"
        )
    out = args.out or f"runs/{config.name}-review"
    if files.is_remote(out):
        raise UserError(f"--out is {out}, but a review's folder must be on a file system")
    return ReviewRequest(
        config=config,
        data=args.data,
        out=Path(out),
        num_folds=args.folds,
        splits=tuple(split for split in schema.SPLITS if split in (args.splits or schema.SPLITS)),
        all_splits=args.splits is None,
        rows=args.rows,
        explained=args.explain,
    )


def main() -> None:
    """The command line."""
    request = parse_command_line(sys.argv)
    signals.stop_at_once()  # Whatever it leaves is whole or absent.
    compilation_cache.enable()
    cpu.use_all_cores(request.config.batch_size)
    logs.log_to_stderr()
    from mmgenre.review.reviewer import review

    review(request)


if __name__ == "__main__":
    run_command(main)
