"""The style of all figures: a width that a phone can show, colours safe for the colour-blind.

Figures are drawn without pyplot, which would need a display and keep them all.
"""

import dataclasses
import functools
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from PIL import Image

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Okabe and Ito's palette: distinct for the three common kinds of colour blindness, and in grey.
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
RED: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
GREY: Final = "#6B7280"
LIGHT: Final = "#D1D5DB"
SERIES: Final = (BLUE, RED, GREEN, PURPLE, ORANGE, GREY)

WIDTH: Final = 4.2
"""Inches: on a phone 390 pixels wide, 9 points come out as 11 pixels."""

_DPI: Final = 200
_COLUMNS: Final = 3
_LONGEST_NAME: Final = 18  # Characters that a panel has room for.
_RC: Final[dict[Any, Any]] = {  # Its stubs want keys to be literals.
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "text.color": "#111827",
    "axes.labelcolor": "#111827",
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # Names are drawn as they are: a dollar begins no formula.
}

SHORT_NAMES: Final = {"Science Fiction": "Sci-Fi", "Documentary": "Document."}


@dataclasses.dataclass(frozen=True)
class Figure:
    """A finished figure.

    Attributes:
      name: of its file, without ending.
      title: what it shows, as a heading.
      caption: how to read it.
      png: the file's bytes.
    """

    name: str
    title: str
    caption: str
    png: bytes


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a function that draws figures do so in the style of this module."""

    @functools.wraps(draw)
    def draw_in_style(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return draw_in_style


def new_figure(height: float, **subplots: Any) -> tuple[Canvas, Any]:
    """Returns an empty figure, `WIDTH` x `height` inches, and its axes, as `subplots` describes."""
    canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
    return canvas, canvas.subplots(**subplots)


def rows_height(num_rows: int) -> float:
    """Returns the height in inches of a figure with a row for each genre: 3.9 for 18."""
    return 0.7 + 3.2 * max(num_rows, 5) / 18


def genre_grid(
    genres: Sequence[str], *, panel_height: float, subtitles: bool = False, **subplots: Any
) -> tuple[Canvas, list[Axes]]:
    """Returns a figure with a panel for each genre, three a row, each with its title."""
    rows = -(-len(genres) // _COLUMNS)
    canvas, axes = new_figure(panel_height * rows, nrows=rows, ncols=_COLUMNS, **subplots)
    panels = list(np.asarray(axes).ravel())
    for unused in panels[len(genres) :]:
        unused.remove()
    panels = panels[: len(genres)]
    for panel, genre in zip(panels, genres, strict=True):
        panel.set_title(_cut(genre), pad=14 if subtitles else 3)
    return canvas, panels


def subtitle(panel: Axes, text: str) -> None:
    """Writes a second line under a panel's title; outside, where it hides no curve."""
    panel.text(0, 1.04, text, transform=panel.transAxes, fontsize=8.5, color="#4b5563")


def finish(canvas: Canvas, name: str, title: str, caption: str) -> Figure:
    """Renders a figure."""
    canvas.set_dpi(_DPI)
    drawn = FigureCanvasAgg(canvas)
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; tables have it as it is.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        drawn.draw()
    pixels = Image.fromarray(np.asarray(drawn.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    # Few colours and their mixtures with white: 256 of them hold all, in a third of the bytes.
    pixels.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=False)
    return Figure(name, title, caption, buffer.getvalue())


def unit_axes(panel: Axes, *, x: bool = True) -> None:
    """Gives an axis from 0 to 1 few ticks with short labels; the x axis too if `x`."""
    ticks, labels = (0, 0.5, 1), ("0", ".5", "1")
    panel.set_ylim(-0.02, 1.04)
    panel.set_yticks(ticks, labels)
    if x:
        panel.set_xlim(-0.02, 1.02)
        panel.set_xticks(ticks, labels)


def horizontal_bars(
    panel: Axes,
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    color: str = BLUE,
) -> None:
    """Draws bars from the top down, each with its name on the left and its label at its end."""
    positions = np.arange(len(names))
    panel.barh(positions, values, color=color, height=0.72)
    panel.set_yticks(positions, names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    room = max([*values, 1e-9])
    for position, value, label in zip(positions, values, labels, strict=True):
        panel.annotate(
            label,
            (value, position),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    panel.set_xlim(0, room * 1.28)


def short(genre: str) -> str:
    """Returns a genre's name for narrow places."""
    return _cut(SHORT_NAMES.get(genre, genre))


def _cut(genre: str) -> str:
    return genre if len(genre) <= _LONGEST_NAME else genre[: _LONGEST_NAME - 1] + "…"
