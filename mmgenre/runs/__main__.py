"""Lists runs: config, data set, epoch, scores, size and state.

mmgenre runs
mmgenre runs runs/sweep --json
"""

import json
from pathlib import Path

from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(module="mmgenre.runs", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), help="where to look (default: runs)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a run")
    args = parser.parse_args()
    from tabulate import tabulate

    from mmgenre.runs import listing

    found = list(listing.find(args.folder))
    if args.json:
        for run in found:
            print(json.dumps(run.as_fields(), allow_nan=False))
        return
    if not found:
        print(f"no runs in {args.folder}")
        return
    rows = [
        [
            run.path,
            run.config,
            run.dataset,
            f"{run.epoch}/{run.epochs}" if run.epochs else "",
            run.score,
            run.test_f1,
            run.size / 1e6,
            run.state,
        ]
        for run in found
    ]
    metrics = {run.metric for run in found if run.metric}
    score = metrics.pop() if len(metrics) == 1 else "score"
    score = "mAP" if score == "average_precision/macro" else score
    headers = ["run", "config", "data set", "epoch", f"validation\n{score}", "test\nmicro F1"]
    print(
        tabulate(
            rows,
            headers=[*headers, "MB", "state"],
            floatfmt=("", "", "", "", ".3f", ".3f", ".1f", ""),
            missingval="-",
        )
    )


if __name__ == "__main__":
    run_command(main)
