"""Stage 1, read: a catalogue's rows to cleaned movies, every row accounted for.

Streams: memory does not grow with the number of rows.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import ClassVar, Final

from etils import epath

from data_prep.metadata.choose_genres import AUTO, choose_genres
from data_prep.metadata.corrections import Corrections
from data_prep.metadata.row_reader import RowReader
from data_prep.options import DEFAULT_MIN_GENRE_MOVIES
from data_prep.workspace import movie_file
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, file_digest
from mmgenre.catalogue.columns import SPLIT, Columns, find_columns, require_columns
from mmgenre.catalogue.genre_list import GenreList, read_genres
from mmgenre.catalogue.rows import read_rows
from mmgenre.catalogue.table import Table, open_table
from mmgenre.errors import UserError

_VERSION: Final = 4
_MOST_NAMED: Final = 100  # Names of genres that are on no list, in the audit.


@dataclasses.dataclass(frozen=True)
class ReadOutcome:
    """What reading found.

    Attributes:
      rows: rows of the catalogue.
      kept: movies in the movie file.
      dropped: rows by reason; rows = kept + the sum of these.
      notes: things mended or left out in rows that may have been kept.
      quoted: by reason, a cell that shows it.
      unlisted: rows by each name of a genre that is on no list, the most common 100.
      form: how the catalogue is written, and which column was taken for what: a line each.
      has_split: whether it brings a split of its own.
      genres: the names on the list, in the order of the labels.
      genres_text: the list as a file, with its aliases.
      digest: of the movie file.
    """

    rows: int
    kept: int
    dropped: dict[str, int]
    notes: dict[str, int]
    quoted: dict[str, str]
    unlisted: dict[str, int]
    form: list[str]
    has_split: bool
    genres: tuple[str, ...]
    genres_text: str
    digest: str


@dataclasses.dataclass(frozen=True)
class Read(Stage[ReadOutcome]):
    """Reads a catalogue into the workspace's movie file.

    Attributes:
      metadata: a catalogue of any form; see `mmgenre.catalogue.table.open_table`.
      require: "overview" and "both" drop rows without an overview, "poster" and "both" rows
        without a poster's path, "any" rows that have neither.
      columns: the column's name by role, where it is not one of the usual ones.
      genres: the list of genres; see `choose_genres`.
      min_genre_movies: that a genre of `--genres auto` must have.
      corrections: a table of labels to correct; see `data_prep.metadata.corrections`.
    """

    metadata: epath.PathLike
    require: str
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    genres: epath.PathLike | None = None
    min_genre_movies: int = DEFAULT_MIN_GENRE_MOVIES
    corrections: epath.PathLike | None = None
    name: ClassVar[str] = "read"
    outcome_type: ClassVar[type[ReadOutcome]] = ReadOutcome

    def key(self) -> str:
        """Raises UserError where there is no such file."""
        if not epath.Path(self.metadata).exists():
            raise UserError(
                f"there is no file {self.metadata}; give movies_metadata.csv with --metadata"
            )
        genres: str | int | None = None
        if self.genres is not None:
            is_auto = str(self.genres) == AUTO
            genres = self.min_genre_movies if is_auto else read_genres(self.genres).text()
        corrections = []
        if self.corrections is not None:
            corrections.append(dict(Corrections.read(self.corrections).of_movie))
        return digest(
            self.name,
            _VERSION,
            _digest(self.metadata),
            self.require,
            dict(self.columns),
            genres,
            *corrections,
        )

    def run(self, workspace: Workspace, progress: Progress) -> ReadOutcome:
        """Streams the rows.

        Raises:
          UserError: the file cannot be read, is no catalogue, lacks a column, or holds no movie.
        """
        metadata = str(self.metadata)
        genres = choose_genres(self.genres, self.min_genre_movies, self.metadata, self.columns)
        corrections = None
        if self.corrections is not None:
            corrections = Corrections.read(self.corrections)
            corrections.check(genres)
        if not genres.is_default:
            progress.note(f"{self.name}: {len(genres.names)} genres: {_listed(genres.names)}")
        with open_table(self.metadata) as table:
            columns = find_columns(table.columns, self.columns, metadata)
            require_columns(columns, metadata)
            progress.note(f"{self.name}: {metadata} is {table.form}; {columns.describe()}")
            return _read(
                table, columns, metadata, workspace, self.require, genres, corrections, progress
            )


def _digest(metadata: epath.PathLike) -> str:
    """Changes with the catalogue's contents; of a folder's files, with their sizes and times."""
    path = epath.Path(metadata)
    if not path.is_dir():
        return file_digest(path)
    states = [
        (os.path.relpath(entry.path, path), entry.stat().st_size, entry.stat().st_mtime_ns)
        for folder in (path, *(inner for inner in path.iterdir() if inner.is_dir()))
        for entry in os.scandir(folder)
        if entry.is_file()
    ]
    return digest(*sorted(states))


def _read(
    table: Table,
    columns: Columns,
    name: str,
    workspace: Workspace,
    require: str,
    genres: GenreList,
    corrections: Corrections | None,
    progress: Progress,
) -> ReadOutcome:
    with (
        movie_file.open_writer(workspace.path) as writer,
        progress.bar(Read.name, None, "rows") as bar,
    ):
        habits, rows = read_rows(table, columns)
        reader = RowReader(habits, genres, require, corrections)
        for row in rows:
            bar.update()
            movie = reader.movie(row)
            if movie is not None:
                writer.write(movie)
        if not reader.rows:
            raise UserError(f"{name} has a header and no rows")
        if not writer.num_movies:
            reasons = "; ".join(reader.dropped_lines())
            raise UserError(f"no row of {name} is a movie that can be kept ({reasons})")
    return ReadOutcome(
        rows=reader.rows,
        kept=writer.num_movies,
        dropped=dict(sorted(reader.dropped.items())),
        notes=dict(sorted(reader.notes.items())),
        quoted=dict(sorted(reader.quoted.items())),
        unlisted=dict(sorted(reader.unlisted.items(), key=lambda item: -item[1])[:_MOST_NAMED]),
        form=[table.form, *table.notes, columns.describe()],
        has_split=SPLIT in columns.of_role,
        genres=genres.names,
        genres_text=genres.text(),
        digest=file_digest(workspace.path / movie_file.MOVIES_FILE),
    )


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return ", ".join(names[:30]) + more
