"""Writes the report of a finished run, or compares several.

python -m mmgenre.report --run runs/model1
python -m mmgenre.report --run runs/model0 --run runs/model1
"""

import argparse
from pathlib import Path

from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        prog="python -m mmgenre.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", required=True, action="append", help="folder of a run; repeat it to compare"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="HTML file that does not exist (default: report.html in the run's folder, renewed)",
    )
    args = parser.parse_args()
    from mmgenre.report.page import write_report  # JAX and matplotlib: after the options are read.

    print(f"report: {write_report(args.run, args.out)}")


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
