"""The table of suspicious labels, a row each, the clearest first: CSV, to be read and to be marked.

In the column `accept` the reader writes yes where the label is indeed wrong; then
`mmgenre prepare --label-corrections <table>` corrects it.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from mmgenre.dataset.label_table import ACCEPT, GENRE, GIVEN, ID, KIND, MISSING, harmless
from mmgenre.machine import files
from mmgenre.review.ranking import Suspicions

COLUMNS: Final = (
    "rank",
    ID,
    "title",
    GENRE,
    KIND,
    "probability",
    "score",
    "given_genres",
    "suggested_genres",
    "split",
    "record",
    ACCEPT,
)


def write(
    path: epath.Path,
    suspicions: Suspicions,
    labels: np.ndarray,
    genres: Sequence[str],
    movies: dict[str, np.ndarray],
) -> None:
    """Writes the table, whole or not at all.

    Args:
      path: of the file.
      suspicions: the rows.
      labels: <uint8>[movies, genres], as given.
      genres: their names.
      movies: "id", "title" and "split" <object>[movies], and "record" <int>[movies], the place in
        its split.
    """
    with files.atomic_write(path, "w") as file:
        # All texts in quotes: before Python 3.13 a carriage return gets none by itself.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(COLUMNS)
        for row in rows(suspicions, labels, genres, movies):
            values = (row[name] for name in COLUMNS)
            writer.writerow([harmless(v) if isinstance(v, str) else v for v in values])


def rows(
    suspicions: Suspicions,
    labels: np.ndarray,
    genres: Sequence[str],
    movies: dict[str, np.ndarray],
) -> Iterator[dict[str, Any]]:
    """Yields what a row of the table holds, by column; see `write`."""
    suggested = suggested_labels(suspicions, labels)
    for place, (movie, genre) in enumerate(
        zip(suspicions.movies.tolist(), suspicions.genres.tolist(), strict=True)
    ):
        yield {
            "rank": place + 1,
            ID: movies["id"][movie],
            "title": movies["title"][movie],
            GENRE: genres[genre],
            KIND: GIVEN if suspicions.given[place] else MISSING,
            "probability": round(float(suspicions.probabilities[place]), 4),
            "score": round(float(suspicions.scores[place]), 3),
            "given_genres": "|".join(names(genres, labels[movie])),
            "suggested_genres": "|".join(names(genres, suggested[movie])),
            "split": movies["split"][movie],
            "record": int(movies["record"][movie]),
            ACCEPT: "",
        }


def suggested_labels(suspicions: Suspicions, labels: np.ndarray) -> np.ndarray:
    """Returns the labels <uint8>[movies, genres] with all suspicious ones turned round."""
    suggested = labels.copy()
    suggested[suspicions.movies, suspicions.genres] ^= 1
    return suggested


def names(genres: Sequence[str], row: np.ndarray) -> list[str]:
    """Returns the names of the genres in labels <uint8>[genres]."""
    return [genres[genre] for genre in np.flatnonzero(row).tolist()]
