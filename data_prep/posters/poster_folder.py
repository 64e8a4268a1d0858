"""Posters from a folder that is laid out like the image server."""

import os
from typing import Final

from etils import epath

from data_prep.options import WIDTHS
from mmgenre.errors import UserError

NO_PATH: Final = "no poster path in the metadata"
NOT_FOUND: Final = "missing: not found"


def widths_by_preference(width: str) -> tuple[str, ...]:
    """The width asked for, then wider ones, nearest first, then narrower ones, nearest first."""
    place = WIDTHS.index(width)
    return WIDTHS[place:] + WIDTHS[:place][::-1]


class Folder:
    """Finds `<folder>/<width><poster_path>`, or `<folder><poster_path>` in a folder of one width.

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

    def candidates(self, poster_path: str) -> list[str]:
        """Where a poster may be, the best place first."""
        return [f"{root}{poster_path}" for root in self._roots]

    def locate(self, poster_path: str) -> tuple[str, str]:
        """Returns (the poster's file, "") or ("", why there is none)."""
        if not poster_path:
            return "", NO_PATH
        for path in self.candidates(poster_path):
            if os.path.isfile(path):
                return path, ""
        return "", NOT_FOUND
