"""Evaluates the baselines alone: what a model must beat, on the same splits with the same metrics.

python -m mmgenre.baselines --data data/movies [--split test] [--out baselines.json]

Predicting nothing, every genre, or the most common genres; logistic regression on TF-IDF, on coarse
poster features, and on both; and the strongest ensemble of linear models that we know of. All are
fitted on the train split, once: their answers are kept in ~/.cache/mmgenre. Their probabilities and
thresholds are fitted on the validation split, as a run's are.
"""

import argparse

from etils import epath

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files, logs
from mmgenre.machine.command_line import ArgumentParser, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line: `data`, `split`, `out` and `full`."""
    parser = ArgumentParser(
        module="mmgenre.baselines",
        description=__doc__,
    )
    parser.add_argument("--data", required=True, help="folder of a prepared data set")
    parser.add_argument(
        "--split", default=schema.TEST, choices=schema.SPLITS, help="split to evaluate on"
    )
    parser.add_argument("--out", type=epath.Path, help="JSON file for all metrics")
    parser.add_argument("--full", action="store_true", help="print every metric, in wide tables")
    return parser.parse_args(arguments)


def main() -> None:
    """The command line."""
    args = parse_args()
    logs.warn_on_stderr()
    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.evaluation import (  # After the options are read.
        baselines,
        results,
        summary,
        tables,
    )

    if args.out is not None:
        files.require_new(args.out)
        files.require_folder(args.out)
    dataset = open_dataset(args.data)
    num_movies = dataset.split(args.split).num_movies
    movies = baselines.read_movies(dataset, args.split)
    found = baselines.evaluate_baselines(dataset, args.split, movies, dataset.info, dataset)
    print(summary.of_baselines(found, dataset.info.name, args.split, num_movies))
    if args.full:
        columns = baselines.titled(found)
        print(f"\n{tables.comparison_table(columns)}\n\n{tables.headline_table(columns)}")
    if args.out is not None:
        try:
            files.write_json(args.out, results.baselines_as_fields(found))
        except OSError as error:
            raise UserError(f"cannot write {args.out}: {error}") from error
        print(f"\nwritten to {args.out}")


if __name__ == "__main__":
    run_command(main)
