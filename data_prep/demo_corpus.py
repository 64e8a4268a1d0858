"""Writes the demo corpus: generated movies in the two forms that real data comes in.

python -m data_prep.demo_corpus --out demo
"""

from collections.abc import Sequence

from data_prep.demo.corpus import NUM_MOVIES, write_demo_corpus
from mmgenre.machine.command_line import ArgumentParser, run_command


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(
        module="data_prep.demo_corpus", description="Writes the generated demo corpus."
    )
    parser.add_argument("--out", required=True, help="folder to write to; must not exist")
    parser.add_argument(
        "--movies", type=int, default=NUM_MOVIES, help="number of movies (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--poster-pool",
        type=int,
        metavar="N",
        help="draw only N posters and share them, for speed; 0: none; default: each movie its own",
    )
    flags = parser.parse_args(arguments)
    write_demo_corpus(
        flags.out, num_movies=flags.movies, seed=flags.seed, poster_pool=flags.poster_pool
    )
    print(f"The demo corpus of {flags.movies:,} movies is in {flags.out}.")


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
