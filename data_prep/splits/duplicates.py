"""Movies that are the same: by id, imdb id, overview after normalisation, or poster.

And, where that is asked for, those of one franchise, by the stem of their titles.

Costs 40 bytes a movie for the keys, and about as much again while one kind is compared.
"""

import hashlib
import re
from typing import Final

import numpy as np

from data_prep.metadata import clean_row
from data_prep.workspace.movie_file import Movie, MovieFile
from mmgenre.dataset import same_movies
from mmgenre.inputs import overview_text

_SUBTITLE: Final = re.compile(r":|\s[-–—]\s")
_PART: Final = re.compile(
    r"(\s(the|part|chapter|volume|vol|episode))*\s(\d{1,2}|[ivx]{1,5}|one|two|three|four|five)$"
)
_SHORTEST_STEM: Final = 4
"""Characters: "It" and "It 2" may be anything."""

DUPLICATE: Final = "duplicate: merged with the fuller row of the same id"


class Keys:
    """What movies are compared by: one number of 64 bits for each kind, 0 where there is none.

    Args:
      num_movies: movies in the workspace, kept or not.
    """

    KINDS: Final = ("id", "imdb id", "overview", "poster", "title")

    def __init__(self, num_movies: int):
        self.ids = np.full(num_movies, -1, np.int64)
        self._keys = {kind: np.zeros(num_movies, np.uint64) for kind in self.KINDS[1:]}

    def add(self, number: int, movie: Movie, poster_digest: int, *, by_title: bool = False) -> None:
        """Enters a movie that is kept; those that are not stay out of every group.

        Args:
          number: of the movie in the workspace.
          movie: the movie.
          poster_digest: of its pixels.
          by_title: whether movies of one franchise are kept together: of one `title_stem`.
        """
        if by_title:
            self._keys["title"][number] = clean_row.text_digest(title_stem(movie.title))
        self.ids[number] = number_of(movie.id)
        self._keys["imdb id"][number] = clean_row.text_digest(movie.imdb_id)
        # A text without letters of its own after normalisation says nothing of the movie.
        self._keys["overview"][number] = clean_row.text_digest(
            overview_text.normalise(movie.overview)
        )
        self._keys["poster"][number] = poster_digest

    def remove(self, numbers: np.ndarray) -> None:
        """Takes movies out again."""
        self.ids[numbers] = -1
        for keys in self._keys.values():
            keys[numbers] = 0

    def copies(self) -> dict[str, int]:
        """By kind: how many movies share it with another of another id."""
        found = {kind: _num_shared(*self._runs(kind)) for kind in self.KINDS[1:]}
        return {kind: count for kind, count in found.items() if count or kind != "title"}

    def copies_across(self, split: np.ndarray) -> dict[str, int]:
        """By kind: how many movies share it with one in another split <uint8>[num_movies]."""
        found = {}
        for kind in self.KINDS[1:]:
            numbers, keys = self._runs(kind)
            _, group = np.unique(keys, return_inverse=True)
            pairs = np.unique(np.stack([group, split[numbers]]), axis=1)[0]
            leaking = np.bincount(pairs, minlength=1) > 1
            found[kind] = int(leaking[group].sum()) if len(numbers) else 0
        return {kind: count for kind, count in found.items() if count}

    def components(self) -> np.ndarray:
        """Returns <int32>[num_movies]: the number of the group of each, -1 for those left out.

        Two movies are in one group when a chain of shared keys joins them.
        """
        kinds = (self._runs(kind) for kind in self.KINDS)
        component = same_movies.joined(len(self.ids), kinds)
        component[self.ids < 0] = -1
        return component

    def duplicates(self, movies: MovieFile) -> np.ndarray:
        """Returns the numbers of the movies whose id another, fuller, row has.

        The fullest row has a poster, then the longest overview, then the most genres; between equal
        ones their content decides, so that the order of the rows does not.
        """
        numbers, ids = self._runs("id")
        ends = np.flatnonzero(np.r_[np.diff(ids) != 0, True]) + 1
        starts = np.r_[0, ends[:-1]]
        merged: list[int] = []
        for start, end in zip(starts, ends, strict=True):
            if end - start > 1:
                rows = sorted(map(int, numbers[start:end]), key=lambda n: self._rank(n, movies))
                merged.extend(rows[1:])
        return np.array(sorted(merged), np.int64)

    def _rank(self, number: int, movies: MovieFile) -> tuple[int, int, int, bytes]:
        movie = movies[number]
        has_poster = int(self._keys["poster"][number] != 0)
        return -has_poster, -len(movie.overview), -len(movie.labels), movie.to_json()

    def _runs(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers of the movies that have a key of this kind, by key, and the keys."""
        keys = self.ids if kind == "id" else self._keys[kind]
        numbers = np.flatnonzero(keys >= 0 if kind == "id" else keys != 0)
        numbers = numbers[np.argsort(keys[numbers], kind="stable")]
        return numbers, keys[numbers]


def title_stem(title: str) -> str:
    """Returns what the titles of a franchise have in common; "" where that is too little.

    The part before a colon or a dash, without a number at its end: "Rocky", "Rocky II" and
    "Rocky 3: Again" are one, "Alien" and "Aliens" two.
    """
    start = _SUBTITLE.split(title, maxsplit=1)[0]
    stem = _PART.sub("", overview_text.normalise(start)).strip()
    return stem if len(stem) >= _SHORTEST_STEM else ""


def number_of(id_: int | str) -> int:
    """Returns the number that stands for an id: itself, or 63 bits that identify a text."""
    return id_ if isinstance(id_, int) else clean_row.text_digest(id_) >> 1


def hash_ids(ids: np.ndarray, seed: int) -> np.ndarray:
    """Returns <uint64>[n], evenly spread and the same for the same id and seed (SplitMix64)."""
    start = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "little")
    x = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _num_shared(numbers: np.ndarray, keys: np.ndarray) -> int:
    same = keys[1:] == keys[:-1]
    return int((np.r_[False, same] | np.r_[same, False]).sum()) if len(numbers) else 0
