"""`genres.png`: the most common genres of a data set."""

import warnings
from typing import TYPE_CHECKING, Any, Final

from etils import epath

from mmgenre import schema
from mmgenre.machine import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE: Final = "genres.png"
_MOST: Final = 60  # Genres that there is room for.
_COLOURS: Final = {
    schema.TRAIN: "#3b6fb6",
    schema.VALIDATION: "#e0a030",
    schema.TEST: "#7a9e48",
}


def write(out: epath.Path, report: dict[str, Any]) -> None:
    """Draws the movies of each genre, the most common on top, one colour for each split."""
    import matplotlib  # Takes a second.

    with matplotlib.rc_context({"text.parse_math": False}):  # A name's dollar begins no formula.
        figure = _draw(report)
    with files.atomic_write(out / FILE) as file, warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the audit has it as it is.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format="png", dpi=120)


def _draw(report: dict[str, Any]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    splits = report["splits"]
    totals = {
        genre: sum(split["genres"][genre] for split in splits.values())
        for genre in report["genres"]
    }
    genres = sorted(totals, key=lambda genre: totals[genre])[-_MOST:]
    num_movies = sum(split["movies"] for split in splits.values())
    figure = Figure(figsize=(8, 0.6 + 0.3 * max(len(genres), 6)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    left = [0] * len(genres)
    for name, split in splits.items():
        widths = [split["genres"][genre] for genre in genres]
        axes.barh(genres, widths, left=left, label=name, color=_COLOURS[name])
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, genre in enumerate(genres):
        share = f" {totals[genre]:,} ({totals[genre] / num_movies:.1%})"
        axes.text(totals[genre], place, share, va="center", fontsize=8)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("movies")
    axes.set_title(f"Genres of {report['name']} ({num_movies:,} movies)")
    axes.legend(loc="lower right", frameon=False)
    return figure
