"""Writes the report of a finished run, or compares several.

python -m mmgenre.report --run runs/model1
python -m mmgenre.report --run runs/model0 --run runs/model1
"""

from pathlib import Path

from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        module="mmgenre.report",
        description=__doc__,
    )
    parser.add_argument(
        "--run",
        required=True,
        action="append",
        help="run directory; repeat the option to compare runs",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="HTML file to write; must not exist (default: report.html in the run "
        "directory, replaced)",
    )
    args = parser.parse_args()
    from mmgenre.report.page import write_report  # JAX and matplotlib: after the options are read.
    from mmgenre.runs import workplace
    from mmgenre.runs.directory import RunDirectory

    runs = [RunDirectory.open(run) for run in args.run]
    with workplace.results_sent(args.run[0]):
        page = write_report(runs, args.out)
    print(f"report: {runs[0].shown(page)}")


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
