"""Figures with a panel for each genre: confusion matrices, curves over thresholds, calibration."""

from collections.abc import Sequence

import numpy as np

from mmgenre.evaluation import curves, metrics
from mmgenre.report import style
from mmgenre.report.style import Figure


@style.styled
def confusion_matrices(genres: Sequence[str], labels: np.ndarray, predicted: np.ndarray) -> Figure:
    """Draws a 2x2 matrix for each genre: counts, and shares of the row.

    Args:
      genres: that are drawn.
      labels: <bool>[movies, genres].
      predicted: <bool>[movies, genres].
    """
    canvas, panels = style.genre_grid(genres, panel_height=1.42)
    for g, panel in enumerate(panels):
        actual, answer = labels[:, g], predicted[:, g]
        counts = np.array(
            [[(~actual & ~answer).sum(), (~actual & answer).sum()],
             [(actual & ~answer).sum(), (actual & answer).sum()]]
        )  # fmt: skip
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for row in range(2):
            for column in range(2):
                dark = shares[row, column] > 0.7
                panel.text(
                    column,
                    row,
                    f"{counts[row, column]:,}\n{_percent(shares[row, column])}",
                    ha="center",
                    va="center",
                    color="white" if dark else "#111827",
                    linespacing=1.25,
                )
        panel.set_xticks((0, 1), ("no", "yes"))
        panel.set_yticks((0, 1), ("no", "yes"), rotation=90, va="center")
        panel.tick_params(length=0, pad=2)
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
    canvas.supxlabel("predicted", fontsize=9)
    canvas.supylabel("is of the genre", fontsize=9)
    return style.finish(
        canvas,
        "confusion",
        "Confusion matrices",
        "Movies, and their share of the row: of the movies that are (or are not) of the genre, how "
        "many were predicted so. The lower right cell's share is recall.",
    )


@style.styled
def precision_recall(
    genres: Sequence[str], labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> Figure:
    """Draws precision against recall, with a dot for `predicted` <bool>[movies, genres].

    They need not lie on the curve: movies without a half are decided on by other thresholds.
    """
    canvas, panels = style.genre_grid(
        genres, panel_height=1.5, subtitles=True, sharex=True, sharey=True
    )
    for g, panel in enumerate(panels):
        curve = curves.ranked_curve(labels[:, g], probabilities[:, g])
        prevalence = curve.positives / max(curve.total, 1)
        panel.axhline(prevalence, color=style.GREY, linestyle=":", linewidth=1)
        panel.plot(curve.recall[1:], curve.precision[1:], color=style.BLUE)
        hits = (labels[:, g] & predicted[:, g]).sum()
        if predicted[:, g].any():
            x, y = hits / max(curve.positives, 1), hits / predicted[:, g].sum()
            panel.plot(x, y, "o", color=style.RED, markersize=4.5, zorder=3)
        area = metrics.rank_genre(labels[:, g], probabilities[:, g]).average_precision
        style.subtitle(panel, f"AP {_or_dash(area)}")
        style.unit_axes(panel)
    canvas.supxlabel("recall", fontsize=9)
    canvas.supylabel("precision", fontsize=9)
    return style.finish(
        canvas,
        "precision-recall",
        "Precision against recall",
        "The dot is what is predicted, the dotted line what guessing gives (the genre's share). "
        "AP is the area under the curve.",
    )


@style.styled
def roc(
    genres: Sequence[str], labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> Figure:
    """Draws the share of true against that of false positives; `predicted` as above."""
    canvas, panels = style.genre_grid(
        genres, panel_height=1.5, subtitles=True, sharex=True, sharey=True
    )
    for g, panel in enumerate(panels):
        curve = curves.ranked_curve(labels[:, g], probabilities[:, g])
        panel.plot((0, 1), (0, 1), color=style.GREY, linestyle=":", linewidth=1)
        panel.plot(curve.false_positive_rate, curve.recall, color=style.BLUE)
        of_genre, answer = labels[:, g], predicted[:, g]
        x = (answer & ~of_genre).sum() / max((~of_genre).sum(), 1)
        y = (answer & of_genre).sum() / max(of_genre.sum(), 1)
        panel.plot(x, y, "o", color=style.RED, markersize=4.5, zorder=3, clip_on=False)
        area = metrics.rank_genre(labels[:, g], probabilities[:, g]).roc_auc
        style.subtitle(panel, f"AUC {_or_dash(area)}")
        style.unit_axes(panel)
    canvas.supxlabel("false positives among other movies", fontsize=9)
    canvas.supylabel("true positives (recall)", fontsize=9)
    return style.finish(
        canvas,
        "roc",
        "ROC curves",
        "The dot is what is predicted, the dotted diagonal what guessing gives. AUC is the area "
        "under the curve.",
    )


@style.styled
def f1_against_threshold(
    genres: Sequence[str], splits: dict[str, tuple[np.ndarray, np.ndarray]], chosen: np.ndarray
) -> Figure:
    """Draws F1 over all thresholds.

    Args:
      genres: that are drawn.
      splits: labels <bool> and probabilities <float>[movies, genres] by split, with "test".
      chosen: <float>[genres], the thresholds in use.
    """
    canvas, panels = style.genre_grid(
        genres, panel_height=1.5, subtitles=True, sharex=True, sharey=True
    )
    test_labels, test_probabilities = splits["test"]
    for g, panel in enumerate(panels):
        panel.axvline(chosen[g], color=style.GREY, linestyle="--", linewidth=1)
        for color, (split, (labels, probabilities)) in zip(
            (style.BLUE, style.ORANGE), splits.items(), strict=False
        ):
            curve = curves.ranked_curve(labels[:, g], probabilities[:, g])
            edges = np.append(np.minimum(curve.thresholds[:0:-1], 1), 1.0)
            heights = np.append(curve.f1[:0:-1], curve.f1[0])
            edges, heights = np.append(0.0, edges), np.append(heights[0], heights)
            panel.step(edges, heights, where="pre", color=color, label=split, linewidth=1.2)
        curve = curves.ranked_curve(test_labels[:, g], test_probabilities[:, g])
        f1 = float(curve.f1[curves.point_at(curve, chosen[g])]) if test_labels[:, g].any() else None
        style.subtitle(panel, f"{_or_dash(f1)} at {chosen[g]:.2f}")
        style.unit_axes(panel)
    handles, names = panels[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside upper center", ncols=2)
    canvas.supxlabel("threshold", fontsize=9)
    canvas.supylabel("F1", fontsize=9)
    return style.finish(
        canvas,
        "f1-threshold",
        "F1 against the threshold",
        "The dashed line is the threshold in use for most movies, the number the F1 there on the "
        "test split. A threshold is to be chosen on validation; where "
        "the two curves part, the choice will not carry over.",
    )


@style.styled
def calibration(genres: Sequence[str], labels: np.ndarray, probabilities: np.ndarray) -> Figure:
    """Draws the share of movies that are of the genre against the probability it was given."""
    canvas, panels = style.genre_grid(
        genres, panel_height=1.5, subtitles=True, sharex=True, sharey=True
    )
    for g, panel in enumerate(panels):
        means, shares, counts = curves.calibration(labels[:, g], probabilities[:, g])
        panel.plot((0, 1), (0, 1), color=style.GREY, linestyle=":", linewidth=1)
        panel.plot(means, shares, color=style.BLUE, linewidth=1)
        sizes = 4 + 40 * counts / counts.max()
        panel.scatter(means, shares, s=sizes, color=style.BLUE, zorder=3, clip_on=False)
        error = curves.calibration_error(labels[:, g], probabilities[:, g])
        style.subtitle(panel, f"gap {error:.1%}")
        style.unit_axes(panel)
    canvas.supxlabel("probability given", fontsize=9)
    canvas.supylabel("share that is of the genre", fontsize=9)
    return style.finish(
        canvas,
        "calibration",
        "Calibration",
        "On the diagonal, of the movies given 30% for a genre 30% are of it; below it, the model "
        "claims too much. Dots grow with the movies they stand for; the gap is weighted by them.",
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
