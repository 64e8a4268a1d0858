"""The results of `benchmarks.gpu`: medians, ratios, shares of the floor."""

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import roofline
from mmgenre.config import ModelConfig

if TYPE_CHECKING:
    from benchmarks.gpu_worker import Worker


def summarize(workers: "list[Worker]", model: ModelConfig, plans: dict[str, Any]) -> dict[str, Any]:
    """Returns all that was measured, with ratios and shares."""
    reports = [worker.report for worker in workers]
    ceilings = next((r["ceilings"] for r in reports if "ceilings" in r), None)
    rows = []
    for worker in workers:
        for name, case in worker.cases.items():
            row: dict[str, Any] = dataclasses.asdict(case) | worker.ready[name]
            plan = plans[f"{case.batch_size} {case.tokens}"]
            if seconds := worker.seconds.get(name):
                row["epoch_seconds"] = statistics.median(seconds)
                row["rounds"] = seconds
                row["movies_per_second"] = plan.movies.size / row["epoch_seconds"]
                row["step_ms"] = row["epoch_seconds"] / len(plan) * 1e3
                if ceilings:
                    dtype = dataclasses.replace(model, compute_dtype=case.dtype)
                    costs = roofline.step_costs(
                        dtype, case.batch_size, float(np.mean(plan.lengths))
                    ).values()
                    floor = sum(c.seconds(ceilings["flops"], ceilings["bandwidth"]) for c in costs)
                    row["floor_ms"] = floor * 1e3
            rows.append(row)
    for row in rows:
        peers = [
            other["movies_per_second"]
            for other in rows
            if other["framework"] == "PyTorch" and "step_ms" in other
            if (other["batch_size"], other["tokens"]) == (row["batch_size"], row["tokens"])
        ]
        if peers and "step_ms" in row:
            row["times_pytorch"] = row["movies_per_second"] / max(peers)
    return {"rows": rows, "ceilings": ceilings, "workers": reports}


def print_table(results: dict[str, Any]) -> None:
    """Prints the rows."""
    for report in results["workers"]:
        if "versions" not in report:
            continue  # It died at its start; its rows say so.
        print(", ".join(f"{k} {v}" for k, v in report["versions"].items()))
        if "kernel_error" in report:
            print(f"  its kernel differs from the scan by {report['kernel_error']} of the largest")
        if "lstm_seconds" in report:
            print(f"  its LSTMs alone, 64 tokens, forward and backward: {report['lstm_seconds']} s")
    if results["ceilings"]:
        tflops, bandwidth = (results["ceilings"][k] for k in ("flops", "bandwidth"))
        print(f"measured here: {tflops / 1e12:.1f} TFLOP/s bfloat16, {bandwidth / 1e9:.0f} GB/s")
    header = (
        "",
        "",
        "dtype",
        "batch",
        "tokens",
        "ms a step",
        "movies/s",
        "epoch, s",
        "PyTorch",
        "",
    )
    print("{:8s} {:32s} {:9s} {:>6s} {:7s} {:>9s} {:>10s} {:>9s} {:>8s} {}".format(*header))
    for row in results["rows"]:
        label = f"{row['framework']:8s} {row['variant']:32s} {row['dtype']:9s} "
        label += f"{row['batch_size']:6d} {row['tokens']:7s}"
        if "step_ms" not in row:
            print(f"{label} failed: {row['error']}")
            continue
        ratio = f"{row['times_pytorch']:.2f} x" if "times_pytorch" in row else "-"
        floor = f"floor {row['floor_ms'] / row['step_ms']:.0%}" if "floor_ms" in row else ""
        print(
            f"{label} {row['step_ms']:9.3f} {row['movies_per_second']:10.0f} "
            f"{row['epoch_seconds']:9.3f} {ratio:>8s} {floor}"
        )
