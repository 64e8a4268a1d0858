"""The page of a review: movies whose labels look wrong or missing, and why, as one file."""

import dataclasses
import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from mmgenre import schema
from mmgenre.html.pages import render
from mmgenre.review.ranking import Suspicions
from mmgenre.review.table import names, suggested_labels

_SMALL: Final = (84, 126)


@dataclasses.dataclass(frozen=True)
class Suspect:
    """A movie with labels that look wrong or missing.

    Attributes:
      movie: its number.
      wrong: indices of given genres that look wrong.
      missing: of genres that look missing.
      rank: of the first of them, from 1.
      probabilities: of those, by index.
    """

    movie: int
    wrong: tuple[int, ...]
    missing: tuple[int, ...]
    rank: int
    probabilities: dict[int, float]

    @property
    def genres(self) -> tuple[int, ...]:
        """Both kinds."""
        return (*self.wrong, *self.missing)


def suspects(suspicions: Suspicions) -> list[Suspect]:
    """Puts the labels of a movie together, in the order of each movie's first one."""
    places: dict[int, list[int]] = {}
    for place, movie in enumerate(suspicions.movies.tolist()):
        places.setdefault(movie, []).append(place)
    return [
        Suspect(
            movie=movie,
            wrong=tuple(int(suspicions.genres[p]) for p in own if suspicions.given[p]),
            missing=tuple(int(suspicions.genres[p]) for p in own if not suspicions.given[p]),
            rank=own[0] + 1,
            probabilities={
                int(suspicions.genres[p]): float(suspicions.probabilities[p]) for p in own
            },
        )
        for movie, own in places.items()
    ]


def review_page(
    name: str,
    num_movies: int,
    suspicions: Suspicions,
    labels: np.ndarray,
    genres: Sequence[str],
    shown: Sequence[Suspect],
    facts: dict[int, dict[str, Any]],
    reasons: Callable[[Suspect], list[dict[str, Any]]],
    explained: int,
) -> str:
    """Returns the page.

    Args:
      name: of the data set.
      num_movies: that were judged.
      suspicions: all labels of the table.
      labels: <uint8>[movies, genres], as given.
      genres: their names.
      shown: the movies to show.
      facts: of each of these, by its number, the features "id", "title", "overview", "poster" and
        "has_poster".
      reasons: what `reason.html.j2` is filled with, for each suspicious genre of a movie.
      explained: how many of the first movies are explained.
    """
    given = np.bincount(suspicions.genres[suspicions.given], minlength=len(genres))
    missing = np.bincount(suspicions.genres[~suspicions.given], minlength=len(genres))
    counts = labels.sum(axis=0, dtype=int)
    suggested = suggested_labels(suspicions, labels)
    return render(
        "review.html.j2",
        name=name,
        num_movies=num_movies,
        num_labels=len(suspicions),
        num_given=int(given.sum()),
        num_missing=int(missing.sum()),
        genres=[
            {"genre": g, "movies": int(n), "given": int(w), "missing": int(m)}
            for g, n, w, m in zip(genres, counts, given, missing, strict=True)
        ],
        movies=[
            _view(suspect, genres, facts[suspect.movie])
            | {
                "given": names(genres, labels[suspect.movie]),
                "suggested": names(genres, suggested[suspect.movie]),
            }
            | {"reasons": reasons(suspect) if place < explained else []}
            for place, suspect in enumerate(shown)
        ],
    )


def _view(suspect: Suspect, genres: Sequence[str], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "rank": suspect.rank,
        "id": facts[schema.ID],
        "title": facts[schema.TITLE],
        "overview": facts[schema.OVERVIEW],
        "poster": _png(facts[schema.POSTER]) if facts[schema.HAS_POSTER] else None,
        "wrong": [(genres[g], suspect.probabilities[g]) for g in suspect.wrong],
        "missing": [(genres[g], suspect.probabilities[g]) for g in suspect.missing],
    }


def _png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(_SMALL, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return b64encode(buffer.getvalue()).decode("ascii")
