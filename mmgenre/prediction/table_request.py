"""What is asked of a catalogue: which rows to answer, from what."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mmgenre.catalogue.cells import text_of
from mmgenre.catalogue.columns import (
    GENRES,
    ID,
    IMDB_ID,
    ORIGINAL_TITLE,
    OVERVIEW,
    POSTER,
    TITLE,
    Columns,
    find_columns,
    parse_columns,
    require_columns,
)
from mmgenre.catalogue.damaged_row import DamagedRow
from mmgenre.catalogue.genre_cells import UnreadableCell, genre_names
from mmgenre.catalogue.genre_list import default_genres
from mmgenre.catalogue.movie_folder import is_movie_folder, movies_in
from mmgenre.catalogue.picture_folder import is_picture_folder
from mmgenre.catalogue.rows import Row, read_rows
from mmgenre.catalogue.table import Table, open_table
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text, web_addresses
from mmgenre.inputs.poster_places import DEFAULT_WIDTH
from mmgenre.inputs.poster_source import Addresses

_QUOTED: Final = 60


@dataclasses.dataclass(frozen=True)
class TableRequest:
    """What to answer, and from what.

    Attributes:
      run: folder of a run.
      catalogue: of any form that preparation reads, or a folder of posters.
      posters: a folder of any layout that preparation reads, the address of an image server, or
        None for files by their paths, as they are.
      columns: which column holds what, such as "overview=plot"; None finds the usual names.
      addresses: posters that have an address of their own and are fetched: the catalogue may be
        somebody else's.
      width: of posters that are there in several.
      only_missing: answer only for movies without a genre.
      top: number of most probable genres to predict; None to use the thresholds.
    """

    run: str
    catalogue: Path
    posters: str | None = None
    columns: str | None = None
    addresses: Addresses = "none"
    width: str = DEFAULT_WIDTH
    only_missing: bool = False
    top: int | None = None

    def with_own_posters(self) -> "TableRequest":
        """Returns it with the folder that the posters of this kind of catalogue are in."""
        if self.posters is not None:
            return self
        if is_movie_folder(self.catalogue):
            return dataclasses.replace(self, posters=str(movies_in(self.catalogue)))
        if is_picture_folder(self.catalogue):
            return dataclasses.replace(self, posters=str(self.catalogue))
        return self

    @property
    def has_server(self) -> bool:
        """Whether posters come from an image server."""
        return self.posters is not None and web_addresses.is_address(self.posters)

    def facts(self) -> tuple[Any, ...]:
        """Returns what changes with the request, or with the catalogue."""
        names = [self.catalogue]
        if self.catalogue.is_dir():
            names = [entry for entry in sorted(self.catalogue.rglob("*")) if entry.is_file()]
        states = [(str(name), os.stat(name)) for name in names]
        posters = self.posters
        if posters is not None and not self.has_server:
            posters = os.path.abspath(posters)
        return (
            dataclasses.replace(self, run="", posters=posters),
            self.catalogue.absolute(),
            [(name, state.st_size, state.st_mtime_ns) for name, state in states],
        )


@dataclasses.dataclass(frozen=True)
class Question:
    """A row of a catalogue, as far as it is needed for its answer.

    Attributes:
      id: as it is written, or the number of the row where the catalogue has no ids.
      title: or "".
      overview: or "".
      poster: its cell, or "".
      imdb_id: or "".
      note: why the row cannot be read; "" where it can.
    """

    id: str
    title: str = ""
    overview: str = ""
    poster: str = ""
    imdb_id: str = ""
    note: str = ""


@dataclasses.dataclass
class Questions:
    """The rows of an opened catalogue that are to be answered.

    Attributes:
      columns: and what they were taken for.
      form: of the catalogue, in words.
      notes: what a reader should know of it.
      left_out: rows, so far, that have a genre and so are not asked about; and
      unreadable: those of which that is not known. Both 0 unless only missing ones are asked for.
    """

    columns: Columns
    form: str
    notes: tuple[str, ...]
    _rows: Iterator[Row]
    _only_missing: bool
    left_out: int = 0
    unreadable: int = 0

    @property
    def copied(self) -> list[str]:
        """The columns of the catalogue that its answers have, too."""
        has_title = {TITLE, ORIGINAL_TITLE} & self.columns.of_role.keys()
        return [ID, TITLE] if has_title else [ID]

    def __iter__(self) -> Iterator[Question]:
        """Streams them; raises UserError where the file is damaged beyond its rows."""
        for number, row in enumerate(self._rows, start=1):
            if isinstance(row, DamagedRow):
                if self._only_missing:
                    self.unreadable += 1
                    continue
                id_ = "" if ID in self.columns.of_role else str(number)
                quoted = text_of(row[0]).strip()[:_QUOTED] if row else ""
                note = f"row {number:,} cannot be read: {row.reason}: {quoted!r}"
                yield Question(id_, note=_storable(note))
            elif self._only_missing and _has_genre(row[GENRES]):
                self.left_out += 1
            else:
                yield Question(
                    id=_storable(text_of(row[ID])) if ID in row else str(number),
                    title=_storable(text_of(row.get(TITLE)) or text_of(row.get(ORIGINAL_TITLE))),
                    overview=text_of(row.get(OVERVIEW)),
                    poster=text_of(row.get(POSTER)).strip(),
                    imdb_id=text_of(row.get(IMDB_ID)).strip(),
                )


@contextlib.contextmanager
def open_questions(request: TableRequest) -> Iterator[Questions]:
    """Opens the catalogue of a request.

    Raises:
      UserError: it cannot be read, is no catalogue, or lacks what the request needs.
    """
    name = str(request.catalogue)
    with open_table(request.catalogue) as table:
        columns = find_columns(table.columns, parse_columns(request.columns), name)
        _require(request, columns, name)
        yield _questions(table, columns, request.only_missing)


def _questions(table: Table, columns: Columns, only_missing: bool) -> Questions:
    _, rows = read_rows(table, columns)
    return Questions(columns, table.form, table.notes, rows, only_missing)


def _require(request: TableRequest, columns: Columns, name: str) -> None:
    has_ids = {ID, IMDB_ID} & columns.of_role.keys()
    if request.posters is None or not has_ids:  # Else posters may be called by them.
        require_columns(columns, name, needs_genres=False)
    if request.posters is not None and POSTER not in columns.of_role and not has_ids:
        raise UserError(f"{name} has no column poster to look up in {request.posters}")
    if request.only_missing and GENRES not in columns.of_role:
        raise UserError(
            f"{name} has no column of genres, so that --only-missing cannot tell who has none; "
            "say which it is with --columns genres=NAME, or leave --only-missing out"
        )


def _has_genre(cell: Any) -> bool:
    try:
        return bool(genre_names(cell, default_genres().__contains__))
    except UnreadableCell:
        return True  # Something is said there.


def _storable(text: str) -> str:
    return overview_text.mend(text) if overview_text.needs_mending(text) else text
