"""A folder of pictures as a table: a movie each, called by its file's name."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from etils import epath

from mmgenre.catalogue.source import ENDINGS as TABLES

PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
"""Endings of files of pictures."""


def is_picture_folder(path: epath.PathLike) -> bool:
    """Whether a folder holds pictures and no table."""
    path = epath.Path(path)
    if not path.is_dir():
        return False
    names = [name.lower() for name in os.listdir(path) if not name.startswith(".")]
    has_table = any(name.removesuffix(".gz").endswith((*TABLES, ".zip")) for name in names)
    return not has_table and any(name.endswith(PICTURES) for name in names)


class PictureFolder:
    """See `mmgenre.catalogue.table.Table`."""

    def __init__(self, path: epath.PathLike):
        """Lists the pictures, in the order of their names."""
        self.form = "a folder of posters"
        self.notes: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ("id", "poster")
        self._names = sorted(
            name
            for name in os.listdir(path)
            if name.lower().endswith(PICTURES) and not name.startswith(".")
        )

    def rows(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """See `Table`."""
        for name in self._names:
            cells = {"id": name.rpartition(".")[0], "poster": name}
            yield [cells[column] for column in names]
