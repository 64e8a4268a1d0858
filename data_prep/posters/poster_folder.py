"""Posters from a folder: laid out like the image server, or named by path, by id or by IMDb id."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Final

from etils import epath

from data_prep.posters.poster_source import NO_PATH, NOT_FOUND, Locate
from data_prep.workspace.movie_file import Movie, MovieFile
from mmgenre.inputs.poster_folder import PosterFolder

_FIRST: Final = 500  # Movies, of which one poster at least should be there.


class Folder:
    """The posters of a folder as a source; see `PosterFolder`.

    Raises:
      UserError: there is no such folder.
    """

    def __init__(self, path: epath.PathLike, width: str):
        self._folder = PosterFolder(path, width)

    @contextlib.contextmanager
    def opened(self, workspace: epath.PathLike) -> Iterator[Locate]:
        """Yields how to find a poster, once it is sure that this is the folder of some.

        Raises:
          UserError: not one poster of the workspace's first movies is there.
        """
        self.check(workspace)
        yield self.locate

    def check(self, workspace: epath.PathLike) -> None:
        """Raises UserError where not one poster of the workspace's first movies is there."""
        with MovieFile(workspace) as movies:
            first = itertools.islice(movies, _FIRST)
            self._folder.require_some([(movie.poster_path, _ids(movie)) for movie in first])

    def locate(self, movie: Movie) -> tuple[str, str]:
        """Returns (the poster's file, "") or ("", why there is none)."""
        found = self._folder.find(movie.poster_path, _ids(movie))
        return (found, "") if found else ("", NOT_FOUND if movie.poster_path else NO_PATH)


def _ids(movie: Movie) -> tuple[str, str]:
    return str(movie.id), movie.imdb_id
