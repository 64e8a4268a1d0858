"""Genres of a demo movie, and where they show: poster, overview, or both.

Each genre has a cue: a shape on the poster, a set of words in the overview, or one of each.

* A `POSTER` genre shows in its shape, an `OVERVIEW` genre in its words.
* A `BOTH` genre is one whose shape and words come together. Many movies without the genre have one
  of the two, so that a shape or words alone leave open what only both decide.

Cues are noisy: some of a movie's genres do not show, some cues mislead. Frequencies and
correlations are rounded figures of real movies.
"""

import enum
import functools
import random
import statistics
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmgenre.schema import GENRES, NUM_GENRES


class Channel(enum.Enum):
    """Where a genre shows."""

    POSTER = "poster"
    OVERVIEW = "overview"
    BOTH = "both"


CHANNELS: Final[dict[str, Channel]] = {
    "Action": Channel.POSTER,
    "Adventure": Channel.OVERVIEW,
    "Animation": Channel.POSTER,
    "Comedy": Channel.BOTH,
    "Crime": Channel.OVERVIEW,
    "Documentary": Channel.OVERVIEW,
    "Drama": Channel.BOTH,
    "Family": Channel.POSTER,
    "Fantasy": Channel.POSTER,
    "History": Channel.OVERVIEW,
    "Horror": Channel.POSTER,
    "Music": Channel.OVERVIEW,
    "Mystery": Channel.OVERVIEW,
    "Romance": Channel.OVERVIEW,
    "Science Fiction": Channel.POSTER,
    "Thriller": Channel.BOTH,
    "War": Channel.POSTER,
    "Western": Channel.POSTER,
}

# The share of movies of each genre, before movies that drew no genre draw again.
_FREQUENCY: Final[dict[str, float]] = {
    "Action": 0.17,
    "Adventure": 0.11,
    "Animation": 0.06,
    "Comedy": 0.28,
    "Crime": 0.11,
    "Documentary": 0.06,
    "Drama": 0.41,
    "Family": 0.09,
    "Fantasy": 0.075,
    "History": 0.04,
    "Horror": 0.12,
    "Music": 0.045,
    "Mystery": 0.07,
    "Romance": 0.15,
    "Science Fiction": 0.09,
    "Thriller": 0.19,
    "War": 0.035,
    "Western": 0.024,
}

# Correlations of the Gaussian copula: which genres go together and which do not. Others are 0.
_CORRELATION: Final[dict[str, dict[str, float]]] = {
    "Action": {"Adventure": 0.6, "Crime": 0.3, "Science Fiction": 0.4, "Thriller": 0.4},
    "Adventure": {"Animation": 0.4, "Family": 0.5, "Fantasy": 0.5, "Science Fiction": 0.3},
    "Animation": {"Family": 0.8, "Fantasy": 0.4, "Drama": -0.5, "Thriller": -0.5, "Crime": -0.4},
    "Comedy": {"Family": 0.3, "Romance": 0.3, "Action": -0.3, "Horror": -0.4, "Thriller": -0.6},
    "Crime": {"Thriller": 0.5, "Mystery": 0.3, "Drama": 0.2, "Family": -0.4, "Fantasy": -0.4},
    "Documentary": {"Music": 0.4, "Drama": -0.6, "Comedy": -0.5, "Action": -0.5, "Thriller": -0.6},
    "Drama": {"History": 0.5, "Romance": 0.4, "War": 0.4, "Horror": -0.5, "Comedy": -0.3},
    "Family": {"Fantasy": 0.5, "Horror": -0.6, "Thriller": -0.6, "Drama": -0.3},
    "History": {"War": 0.6, "Comedy": -0.5, "Horror": -0.4},
    "Horror": {"Thriller": 0.4, "Mystery": 0.3, "Romance": -0.5, "Music": -0.4},
    "Mystery": {"Thriller": 0.6, "Comedy": -0.4},
    "Romance": {"Music": 0.2, "Action": -0.4, "Thriller": -0.4, "Documentary": -0.6},
    "Western": {"Action": 0.3, "Adventure": 0.2},
}

# How often a movie without the genre has one half of a `BOTH` genre's cue: on its poster, in its
# overview. Shapes are learned sooner than words, so they are made to say less alone.
_DECOY: Final[dict[str, tuple[float, float]]] = {
    "Comedy": (0.55, 0.22),
    "Drama": (0.55, 0.25),
    "Thriller": (0.45, 0.20),
}
_SHOWN: Final = 0.93  # Chance that a genre's cue is where it belongs.
_MISLEADING: Final = 0.06  # Cues of absent genres, as a share of the movies that have the genre.


@dataclass(frozen=True)
class Plan:
    """What to put into one movie.

    Attributes:
      genres: in the order of `schema.GENRES`, at least one.
      poster_cues: genres whose shape the poster shows.
      overview_cues: genres whose words the overview uses.
    """

    genres: tuple[str, ...]
    poster_cues: tuple[str, ...]
    overview_cues: tuple[str, ...]


def plan_movie(rng: random.Random) -> Plan:
    """Draws a movie's genres and the cues that show them."""
    genres = _draw_genres(rng)
    poster_cues, overview_cues = [], []
    for genre, channel in CHANNELS.items():
        if channel is Channel.BOTH:
            in_poster, in_overview = _halves(genre, genre in genres, rng)
        else:
            shown = rng.random() < _single_cue_probability(genre, genre in genres)
            in_poster, in_overview = shown, shown
        if in_poster and channel is not Channel.OVERVIEW:
            poster_cues.append(genre)
        if in_overview and channel is not Channel.POSTER:
            overview_cues.append(genre)
    return Plan(genres, tuple(poster_cues), tuple(overview_cues))


def _halves(genre: str, present: bool, rng: random.Random) -> tuple[bool, bool]:
    """Whether the poster and the overview have their half of a `BOTH` genre's cue."""
    if present:
        return rng.random() < _SHOWN**0.5, rng.random() < _SHOWN**0.5
    on_poster, in_overview = _DECOY[genre]
    draw = rng.random()
    return draw < on_poster, on_poster <= draw < on_poster + in_overview


def _single_cue_probability(genre: str, present: bool) -> float:
    if present:
        return _SHOWN
    frequency = _FREQUENCY[genre]
    return _MISLEADING * frequency / (1 - frequency)


def _draw_genres(rng: random.Random) -> tuple[str, ...]:
    """Draws correlated normals, and takes the genres whose normal is below their quantile."""
    factor, quantiles = _copula()
    while True:
        normals = factor @ np.array([rng.gauss(0, 1) for _ in range(NUM_GENRES)])
        genres = tuple(GENRES[index] for index in np.flatnonzero(normals < quantiles))
        if 1 <= len(genres) <= 6:
            return genres


@functools.cache
def _copula() -> tuple[np.ndarray, np.ndarray]:
    """Returns a factor of the correlation matrix [18, 18] and each genre's normal quantile [18]."""
    matrix = np.eye(NUM_GENRES)
    for genre, others in _CORRELATION.items():
        for other, correlation in others.items():
            i, j = GENRES.index(genre), GENRES.index(other)
            matrix[i, j] = matrix[j, i] = correlation
    # Rounded pairs need not form a correlation matrix: take the nearest by clipping eigenvalues.
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(matrix))
    factor = np.linalg.cholesky(matrix / np.outer(scale, scale))
    normal = statistics.NormalDist()
    return factor, np.array([normal.inv_cdf(_FREQUENCY[genre]) for genre in GENRES])
