"""Figures over all genres: how common, how well, which together, which branch, which baseline."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mmgenre.evaluation.results import GenreScores
from mmgenre.report import style
from mmgenre.report.style import Figure


@style.styled
def common_genres(counts: Mapping[str, int], num_movies: int) -> Figure:
    """Draws how many movies of the train split each genre has, the most common first."""
    genres = sorted(counts, key=lambda genre: -counts[genre])
    canvas, panel = style.new_figure(style.rows_height(len(genres)))
    labels = [f"{counts[genre]:,} · {counts[genre] / num_movies:.0%}" for genre in genres]
    names = [style.short(genre) for genre in genres]
    style.horizontal_bars(panel, names, [counts[genre] for genre in genres], labels)
    panel.set_xlabel("movies of the train split")
    return style.finish(
        canvas,
        "common-genres",
        "The most common genres",
        f"Movies of each genre among the {num_movies:,} of the train split; a movie has several.",
    )


@style.styled
def per_genre_scores(per_genre: Mapping[str, GenreScores]) -> Figure:
    """Draws the scores of each genre, the best ranked first."""
    genres = sorted(per_genre, key=lambda genre: -(per_genre[genre].average_precision or 0))
    scores = [per_genre[genre] for genre in genres]
    canvas, panel = style.new_figure(style.rows_height(len(genres)))
    for values, label, color, marker in (
        ([each.precision for each in scores], "precision", style.GREEN, "^"),
        ([each.recall for each in scores], "recall", style.ORANGE, "v"),
        ([each.f1 for each in scores], "F1", style.RED, "o"),
        ([each.average_precision for each in scores], "AP", style.BLUE, "D"),
    ):
        points = _points(values)
        panel.plot(points, range(len(genres)), marker, color=color, ms=4.5, label=label)
    _genre_rows(panel, genres)
    panel.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, handletextpad=0.1, columnspacing=1
    )
    return style.finish(
        canvas,
        "per-genre",
        "Every genre",
        "Precision, recall and F1 at the threshold in use, and average precision (AP), which needs "
        "none. Sorted by AP.",
    )


@style.styled
def occur_together(genres: Sequence[str], labels: np.ndarray) -> Figure:
    """Draws, of the movies of one genre, the share that is of another too."""
    return _matrix(
        genres,
        _shares(labels, labels),
        "together",
        "Which genres occur together",
        "Of the movies of the row's genre, the percentage that is of the column's genre as "
        "well, in the test split.",
        "also of",
    )


@style.styled
def confused(genres: Sequence[str], labels: np.ndarray, predicted: np.ndarray) -> Figure:
    """Draws, of the movies of one genre but not another, how many are given the other."""
    shares = np.zeros((len(genres), len(genres)))
    for row in range(len(genres)):
        for column in range(len(genres)):
            only = labels[:, row] & ~labels[:, column]
            if row != column and only.any():
                shares[row, column] = predicted[only, column].mean()
    return _matrix(
        genres,
        shares,
        "confused",
        "Which genres are confused",
        "Of the movies of the row's genre that are not of the column's, the percentage that is "
        "predicted to be of the column's genre.",
        "predicted",
    )


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """A genre that was missed where another was falsely predicted.

    Attributes:
      genre: that was missed.
      taken_for: that was predicted.
      movies: how many.
      share: of the genre's movies.
    """

    genre: str
    taken_for: str
    movies: int
    share: float


def confused_pairs(
    genres: Sequence[str], labels: np.ndarray, predicted: np.ndarray, count: int = 8
) -> list[ConfusedPair]:
    """Returns the genres taken for others most often.

    A movie counts where it is of the one genre, was not given it, and was given the other falsely.
    """
    missed, false = labels & ~predicted, ~labels & predicted
    together = missed.astype(np.int64).T @ false.astype(np.int64)
    pairs = []
    for flat in np.argsort(-together, axis=None, kind="stable")[:count]:
        genre, other = divmod(int(flat), len(genres))
        movies = int(together[genre, other])
        if movies:
            share = movies / int(labels[:, genre].sum())
            pairs.append(ConfusedPair(genres[genre], genres[other], movies, share))
    return pairs


@style.styled
def views(
    genres: Sequence[str],
    scores: Mapping[str, Sequence[float | None]],
    title: str,
    caption: str,
    name: str,
) -> Figure:
    """Draws a score of each genre for several views or runs, the last of them largest.

    Args:
      genres: that are drawn.
      scores: by the name of a view or run, a score for each genre; None where it has none.
      title: of the figure.
      caption: of the figure.
      name: of its file.
    """
    points = {view: _points(values) for view, values in scores.items()}
    order = np.argsort(-np.nan_to_num(next(reversed(points.values()))), kind="stable")
    canvas, panel = style.new_figure(style.rows_height(len(genres)))
    # NaN where a genre cannot be scored in any of them.
    lows = np.fmin.reduce([*points.values()])
    highs = np.fmax.reduce([*points.values()])
    rows = range(len(order))
    panel.hlines(rows, lows[order], highs[order], color=style.LIGHT, linewidth=2, zorder=1)
    markers = "s^oDvP"
    colors = (style.ORANGE, style.GREEN, style.BLUE) if len(scores) == 3 else style.SERIES
    for number, (view, values) in enumerate(points.items()):
        panel.plot(
            values[order],
            rows,
            markers[number % len(markers)],
            color=colors[number % len(colors)],
            ms=5,
            label=view,
        )
    _genre_rows(panel, [genres[g] for g in order])
    panel.legend(
        loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=3, handletextpad=0.1, columnspacing=1
    )
    return style.finish(canvas, name, title, caption)


@style.styled
def modality_shares(genres: Sequence[str], poster_share: np.ndarray) -> Figure:
    """Draws how much of the decision on each genre the poster makes, the rest being the text's.

    Args:
      genres: that are drawn.
      poster_share: <float>[genres]; NaN for a genre that no movie has.
    """
    order = np.argsort(-np.nan_to_num(poster_share, nan=-1), kind="stable")
    canvas, panel = style.new_figure(style.rows_height(len(genres)))
    rows, shares = np.arange(len(order)), poster_share[order]
    panel.barh(rows, shares, color=style.ORANGE, height=0.72, label="poster")
    panel.barh(rows, 1 - shares, left=shares, color=style.BLUE, height=0.72, label="overview")
    for row, share in zip(rows, shares, strict=True):
        defined = not np.isnan(share)
        panel.text(0.015, row, f"{share:.0%}" if defined else "-", va="center", fontsize=8.5)
        panel.text(1.012, row, f"{1 - share:.0%}" if defined else "-", va="center", fontsize=8.5)
    _genre_rows(panel, [genres[g] for g in order])
    panel.set_xlim(0, 1.1)  # With room for the overview's share, whose bar may be a sliver.
    panel.set_xticks(())
    panel.grid(visible=False)
    panel.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    return style.finish(
        canvas,
        "modality-shares",
        "What decides: poster or overview",
        "How far a genre's logit moves when the poster or the overview is withheld, as shares; "
        "mean over the test movies that are of the genre and have both.",
    )


@style.styled
def baselines(scores: Mapping[str, Mapping[str, float | None]], title: str, caption: str) -> Figure:
    """Draws several metrics, a group of bars each, for the model and what it must beat.

    Args:
      scores: by metric, by the name of model or baseline.
      title: of the figure.
      caption: of the figure.
    """
    names = list(next(iter(scores.values())))
    canvas, panels = style.new_figure(1.0 + 0.28 * len(names) * len(scores), nrows=len(scores))
    for panel, (metric, values) in zip(np.atleast_1d(panels), scores.items(), strict=True):
        heights = [values[name] or 0.0 for name in names]
        labels = ["-" if values[name] is None else f"{values[name]:.3f}" for name in names]
        style.horizontal_bars(panel, names, heights, labels)
        for number, bar in enumerate(panel.patches):
            bar.set_color(style.BLUE if number == 0 else style.LIGHT)
        panel.set_title(metric)
        panel.set_xlim(0, 1.15)
        panel.set_xticks(())
        panel.grid(visible=False)
    return style.finish(canvas, "baselines", title, caption)


def _points(values: Sequence[float | None]) -> np.ndarray:
    """Returns scores as matplotlib takes them: <float64>[n], NaN for None."""
    return np.asarray([np.nan if value is None else value for value in values], np.float64)


def _genre_rows(panel: style.Axes, genres: Sequence[str]) -> None:
    panel.set_yticks(range(len(genres)), [style.short(genre) for genre in genres])
    panel.set_ylim(len(genres) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.set_xlim(-0.02, 1.02)


def _shares(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    together = rows.astype(np.float64).T @ columns.astype(np.float64)
    shares = together / np.maximum(rows.sum(axis=0), 1)[:, None]
    np.fill_diagonal(shares, 0)
    return shares


def _matrix(
    genres: Sequence[str], shares: np.ndarray, name: str, title: str, caption: str, label: str
) -> Figure:
    canvas, panel = style.new_figure(4.3)
    size = min(1.0, 18 / len(genres))  # Of the texts: the page is as wide for 30 genres.
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=max(0.01, shares.max() * 1.1))
    for row in range(len(shares)):
        for column in range(len(shares)):
            percent = round(100 * shares[row, column])
            if percent and row != column:
                dark = shares[row, column] > 0.6 * shares.max()
                color = "white" if dark else "#111827"
                panel.text(
                    column, row, percent, ha="center", va="center", fontsize=6.8 * size, color=color
                )
    names = [style.short(genre) for genre in genres]
    panel.set_xticks(range(len(names)), names, rotation=90, fontsize=8 * size)
    panel.set_yticks(range(len(names)), names, fontsize=8 * size)
    panel.set_xlabel(label)
    panel.tick_params(length=0)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    return style.finish(canvas, name, title, caption)
