"""Exports a run as a folder that predicts without mmgenre.

python -m mmgenre.export --run runs/model1 --out bundle
python -m mmgenre.export --check bundle
"""

from pathlib import Path

from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        module="mmgenre.export",
        description=__doc__,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="run directory to export")
    what.add_argument(
        "--check", type=Path, metavar="BUNDLE", help="bundle to check: opens it and runs its model"
    )
    parser.add_argument("--out", type=Path, help="folder to write the bundle to; must not exist")
    args = parser.parse_args()
    logs.quiet_libraries()
    if args.check is not None:
        from mmgenre.prediction.bundle import Bundle

        Bundle.open(args.check)
        print(f"a whole bundle: {args.check}")
        return
    if args.out is None:
        raise UserError("no place for the bundle; add --out <folder>")
    from mmgenre.prediction.bundle_export import export_run

    export_run(args.run, args.out)
    print(f"bundle: {args.out}")


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
