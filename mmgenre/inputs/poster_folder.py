"""A folder of posters: laid out like the image server, or with files named by path or by id."""

import os
from collections.abc import Iterable, Sequence
from typing import Final

from etils import epath

from mmgenre.errors import UserError
from mmgenre.inputs.poster_places import WIDTHS, names_in_folder, widths_by_preference

ENOUGH: Final = 100
"""Posters of the first movies, of which at least one should be there."""


class PosterFolder:
    """Finds `<folder>/<width><path>`, or `<folder><path>` in a folder of one width.

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
        widths = [name for name in widths_by_preference(width) if name in present]
        self._roots = [str(self.path), *(str(self.path / name) for name in widths)]

    def candidates(self, place: str, ids: Iterable[str]) -> list[str]:
        """Where a poster may be, the best place first; see `names_in_folder`."""
        return [f"{root}{name}" for name in names_in_folder(place, ids) for root in self._roots]

    def find(self, place: str, ids: Iterable[str]) -> str | None:
        """Returns the path of a poster's file; None where it is not there."""
        for path in self.candidates(place, ids):
            if os.path.isfile(path):
                return path
        return None

    def require_some(self, movies: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Raises UserError where many movies name a poster and not one of those is a file.

        Args:
          movies: of the first ones, the poster's place and the ids.
        """
        asked = [movie for movie in movies if movie[0]]
        if len(asked) < ENOUGH or any(self.find(*movie) for movie in asked):
            return
        place = (self.candidates(asked[0][0], ()) or [asked[0][0]])[-1]
        raise UserError(
            f"none of the first {len(asked)} posters is in {self.path}: looked for "
            f"{place}, say; give the folder that poster paths are meant in with --posters, or "
            "leave --posters out to go without posters"
        )
