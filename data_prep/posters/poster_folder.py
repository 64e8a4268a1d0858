"""Posters from a folder: laid out like the image server, or named by path, by id or by IMDb id."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Final

from etils import epath

from data_prep.options import WIDTHS
from data_prep.posters.poster_source import NO_PATH, NOT_FOUND, Locate
from data_prep.workspace.movie_file import Movie, MovieFile
from mmgenre.errors import UserError

ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif")
"""Of files that are named by a movie's id."""

_FIRST: Final = 500
_ENOUGH: Final = 100  # Posters of the first movies, of which at least one should be there.


def widths_by_preference(width: str) -> tuple[str, ...]:
    """The width asked for, then wider ones, nearest first, then narrower ones, nearest first."""
    place = WIDTHS.index(width)
    return WIDTHS[place:] + WIDTHS[:place][::-1]


class Folder:
    """Finds `<folder>/<width><poster_path>`, or `<folder><poster_path>` in a folder of one width.

    A path may also be meant from elsewhere, so that only its last part is a file here; a movie
    without a path may have a file that is called like its id or its IMDb id.

    Raises:
      UserError: there is no such folder.
    """

    def __init__(self, path: epath.PathLike, width: str):
        self.path = epath.Path(path)
        if not self.path.is_dir():
            raise UserError(
                f"there is no folder {path}; give a folder of posters or the address of an image "
                "server with --posters"
            )
        present = {entry.name for entry in self.path.iterdir() if entry.name in WIDTHS}
        self._roots = [
            str(self.path / name) for name in widths_by_preference(width) if name in present
        ]
        self._roots.insert(0, str(self.path))

    @contextlib.contextmanager
    def opened(self, workspace: epath.PathLike) -> Iterator[Locate]:
        """Yields how to find a poster, once it is sure that this is the folder of some.

        Raises:
          UserError: not one poster of the workspace's first movies is there.
        """
        with MovieFile(workspace) as movies:
            self.check(movies)
        yield self.locate

    def candidates(self, movie: Movie) -> list[str]:
        """Where a movie's poster may be, the best place first."""
        if movie.poster_path:
            last = movie.poster_path[movie.poster_path.rindex("/") :]
            names = dict.fromkeys((movie.poster_path, last))
        else:
            ids = (str(movie.id), movie.imdb_id)
            names = dict.fromkeys(
                f"/{id_}{end}" for id_ in ids if _is_file_name(id_) for end in ENDINGS
            )
        return [f"{root}{name}" for name in names for root in self._roots]

    def locate(self, movie: Movie) -> tuple[str, str]:
        """Returns (the poster's file, "") or ("", why there is none)."""
        for path in self.candidates(movie):
            if os.path.isfile(path):
                return path, ""
        return "", NOT_FOUND if movie.poster_path else NO_PATH

    def check(self, movies: Iterable[Movie]) -> None:
        """Raises UserError where not one of many movies' posters is there: it names one place."""
        asked, place = 0, ""
        for _, movie in zip(range(_FIRST), movies, strict=False):
            if movie.poster_path:
                if self.locate(movie)[0]:
                    return
                asked, place = asked + 1, place or self.candidates(movie)[-1]
        if asked >= _ENOUGH:
            raise UserError(
                f"none of the first {asked} posters is in {self.path}: looked for {place}, say; "
                "give the folder that the catalogue's poster paths are in with --posters, or leave "
                "--posters out to prepare without posters"
            )


def _is_file_name(id_: str) -> bool:
    return bool(id_) and not id_.startswith(".") and not {"/", "\\", "\0"} & set(id_)
