"""Exports a run as a folder that predicts without mmgenre.

python -m mmgenre.export --run runs/model1 --out bundle
python -m mmgenre.export --check bundle
"""

import argparse
from pathlib import Path

from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        prog="python -m mmgenre.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="folder of a run")
    what.add_argument("--check", type=Path, metavar="BUNDLE", help="open a bundle and check it")
    parser.add_argument("--out", type=Path, help="a folder that does not exist")
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
