"""Figures of training: accuracy, loss and F1 over the steps, of one run or several."""

from collections.abc import Mapping, Sequence
from typing import Final

from mmgenre.report import style
from mmgenre.report.style import Figure

Rows = Sequence[Mapping[str, float]]

# Metric: name in the rows of training, in those of validation, in words.
_CURVES: Final = {
    "accuracy": ("train/accuracy", "validation/accuracy", "Accuracy"),
    "loss": ("train/loss", "validation/loss", "Loss"),
    "f1": ("train/f1", "validation/f1/micro", "F1"),
}
_CAPTIONS: Final = {
    "accuracy": "Share of right decisions, over movies and genres. Predicting nothing is already "
    "right about nine times in ten, so small differences matter.",
    "loss": "Sigmoid cross-entropy, mean over movies and genres; lower is better. Training is "
    "measured with dropout, so validation may lie below it.",
    "f1": "F1 at threshold 0.5, all decisions pooled (micro).",
}


@style.styled
def training_curves(rows: Rows, best_step: int) -> list[Figure]:
    """Draws accuracy, loss and F1 of training and validation; `best_step` is the checkpoint's."""
    figures = []
    for metric, (train, validation, title) in _CURVES.items():
        canvas, panel = style.new_figure(2.5)
        for name, label, color, marker in (
            (train, "train", style.BLUE, "-"),
            (validation, "validation", style.RED, "o-"),
        ):
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                panel.plot(*zip(*points, strict=True), marker, color=color, label=label)
                panel.lines[-1].set_markersize(3)
        if any("step" in row for row in rows):
            panel.axvline(best_step, color=style.GREY, linestyle="--", linewidth=1, label="best")
        panel.set_xlabel("step")
        _legend_above(panel)
        figures.append(
            style.finish(
                canvas,
                f"curve-{metric}",
                title,
                _CAPTIONS[metric] + " The dashed line is the checkpoint that is reported here.",
            )
        )
    return figures


@style.styled
def compared_curves(runs: Mapping[str, Rows]) -> list[Figure]:
    """Draws the validation curves of several runs into one figure a metric."""
    figures = []
    for metric, (_, validation, title) in _CURVES.items():
        canvas, panel = style.new_figure(2.5)
        for color, (name, rows) in zip(style.SERIES * 9, runs.items(), strict=False):
            points = [(row["step"], row[validation]) for row in rows if validation in row]
            if points:
                panel.plot(*zip(*points, strict=True), "o-", ms=3, color=color, label=name)
        panel.set_xlabel("step")
        _legend_above(panel, columns=2)
        figures.append(
            style.finish(canvas, f"curve-{metric}", f"{title} on validation", _CAPTIONS[metric])
        )
    return figures


def _legend_above(panel: style.Axes, columns: int = 3) -> None:
    if panel.get_legend_handles_labels()[0]:
        panel.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderpad=0)
