"""Pictures that stand for a missing poster: the same one for very many movies.

They say nothing of a movie, and two movies that share one are not the same movie.
"""

from typing import Final

import numpy as np

from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Workspace

LEAST: Final = 20
"""A placeholder belongs to at least so many movies, and to so many times more than most pictures
do: in a catalogue with a row for each copy of a movie, all pictures are shared."""


def mark(workspace: Workspace, num_movies: int, progress: Progress) -> None:
    """Finds the placeholders among the pictures of a workspace's parts.

    From then on `pixel_parts` reads them as missing. Costs 8 bytes a movie.
    """
    parts = range(pixel_parts.num_parts(num_movies))
    digests = [pixel_parts.require_raw_part(workspace.path, number).digest for number in parts]
    found = find(np.concatenate(digests) if digests else np.zeros(0, np.uint64))
    pixel_parts.write_placeholders(workspace.path, found)
    for digest, count in found.items():
        part, place = _first(digests, digest)
        with MovieFile(workspace.path) as movies:
            movie = movies[part * pixel_parts.PART + place]
        progress.note(
            f"{count:,} movies share one picture, that of {movie.poster_path or movie.id}, say: a "
            "placeholder, which counts as missing"
        )


def find(digests: np.ndarray) -> dict[int, int]:
    """Returns the movies of each placeholder, by digest.

    Args:
      digests: <uint64>[num_movies], of their pictures; 0 where there is none.
    """
    pictures, counts = np.unique(digests[digests != 0], return_counts=True)
    if not len(pictures):
        return {}
    usual = np.median(counts) if len(pictures) > 1 else 1
    shared = counts >= LEAST * usual
    return dict(zip(pictures[shared].tolist(), counts[shared].tolist(), strict=True))


def _first(digests: list[np.ndarray], digest: int) -> tuple[int, int]:
    for part, values in enumerate(digests):
        found = np.flatnonzero(values == digest)
        if len(found):
            return part, int(found[0])
    raise AssertionError(digest)
