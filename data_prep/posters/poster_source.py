"""Places that posters are decoded from: what they have in common, and the one that has none."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

from etils import epath

from data_prep.workspace.movie_file import Movie

NO_PATH: Final = "no poster path in the metadata"
NOT_FOUND: Final = "missing: not found"
NOT_ASKED: Final = "not asked for"

Locate = Callable[[Movie], tuple[str, str]]
"""From a movie to (the poster's file, "") or ("", why there is none)."""


class PosterSource(Protocol):
    """Where posters are."""

    def opened(self, workspace: epath.PathLike) -> AbstractContextManager[Locate]:
        """Yields how to find the poster of a movie of the workspace."""


class NoPosters:
    """The source of a data set without posters."""

    @contextlib.contextmanager
    def opened(self, workspace: epath.PathLike) -> Iterator[Locate]:
        """Finds nothing."""
        del workspace
        yield lambda movie: ("", NOT_ASKED if movie.poster_path else NO_PATH)
