"""Stage 1, read: the metadata's rows to cleaned movies, every row accounted for.

Streams: memory does not grow with the number of rows.
"""

import dataclasses
from typing import Final

from etils import epath

from data_prep.metadata import clean_row
from data_prep.metadata import rows as table
from data_prep.workspace import movie_file, storage
from data_prep.workspace.progress import Progress
from mmgenre.errors import UserError

STAGE: Final = "read"
_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class ReadOutcome:
    """What reading found.

    Attributes:
      rows: rows of the metadata, the header aside.
      kept: movies in the movie file.
      dropped: rows by reason; rows = kept + the sum of these.
      notes: things mended or left out in rows that may have been kept.
      digest: of the movie file.
    """

    rows: int
    kept: int
    dropped: dict[str, int]
    notes: dict[str, int]
    digest: str


def read(
    metadata: epath.PathLike,
    workspace: storage.Workspace,
    require: str,
    progress: Progress,
) -> ReadOutcome:
    """Reads the metadata into the workspace's movie file; skipped where that is done.

    Args:
      metadata: the CSV file, or the gzip or zip of it.
      workspace: where the movies go.
      require: "overview" and "both" drop rows without an overview, "poster" and "both" rows
        without a poster's path, "any" rows that have neither.
      progress: shown while reading.

    Raises:
      UserError: the file cannot be read, is no CSV, lacks a column, or holds no movie.
    """
    if not epath.Path(metadata).exists():
        raise UserError(f"there is no file {metadata}; give movies_metadata.csv with --metadata")
    key = storage.digest(STAGE, _VERSION, storage.file_digest(metadata), require)
    outcome = workspace.outcome(STAGE, key)
    if outcome is None:
        outcome = dataclasses.asdict(_read(epath.Path(metadata), workspace, require, progress))
        workspace.finish(STAGE, key, outcome)
    else:
        progress.skipped(STAGE)
    return ReadOutcome(**outcome)


def _read(
    metadata: epath.Path, workspace: storage.Workspace, require: str, progress: Progress
) -> ReadOutcome:
    rows = 0
    dropped: dict[str, int] = {}
    notes: dict[str, int] = {}
    with (
        table.open_text(metadata) as file,
        movie_file.open_writer(workspace.path) as writer,
        progress.bar(STAGE, None, "rows") as bar,
    ):
        records = table.records(file, str(metadata))
        columns = _columns(next(records, []), metadata)
        for record in records:
            rows += 1
            bar.update()
            try:
                movie = _movie(record, columns, require, notes)
            except clean_row.Dropped as reason:
                dropped[str(reason)] = dropped.get(str(reason), 0) + 1
            else:
                writer.write(movie)
        if not rows:
            raise UserError(f"{metadata} has a header and no rows")
        if not writer.num_movies:
            reasons = "; ".join(f"{reason}: {count}" for reason, count in dropped.items())
            raise UserError(f"no row of {metadata} is a movie that can be kept ({reasons})")
    return ReadOutcome(
        rows=rows,
        kept=writer.num_movies,
        dropped=dict(sorted(dropped.items())),
        notes=dict(sorted(notes.items())),
        digest=storage.file_digest(workspace.path / movie_file.MOVIES_FILE),
    )


def _columns(header: list[str], metadata: epath.Path) -> tuple[int, dict[str, int]]:
    """Returns the number of columns, and the places of those that are used."""
    names = [name.strip().casefold() for name in header]
    missing = [column for column in clean_row.COLUMNS if column not in names]
    if len(missing) == len(clean_row.COLUMNS):
        raise UserError(
            f"{metadata} is not a CSV file of movies: its first line has none of the columns "
            f"{', '.join(clean_row.COLUMNS)}"
        )
    if missing:
        raise UserError(f"{metadata} lacks the column {', '.join(missing)}")
    used = (*clean_row.COLUMNS, *clean_row.OTHER_COLUMNS)
    return len(names), {column: names.index(column) for column in used if column in names}


def _movie(
    record: list[str],
    columns: tuple[int, dict[str, int]],
    require: str,
    notes: dict[str, int],
) -> movie_file.Movie:
    num_columns, places = columns
    if isinstance(record, table.BrokenRecord):
        raise clean_row.Dropped("not CSV: damaged quoting")
    if len(record) != num_columns:
        few_or_many = "few" if len(record) < num_columns else "many"
        raise clean_row.Dropped(f"shifted columns: too {few_or_many} cells")
    row = {column: record[place] for column, place in places.items()}
    movie = clean_row.movie_from_row(row, notes)
    if require in ("overview", "both") and not movie.overview:
        raise clean_row.Dropped("no overview")
    if require in ("poster", "both") and not movie.poster_path:
        raise clean_row.Dropped("no poster: no path in the metadata")
    if require == "any" and not movie.overview and not movie.poster_path:
        raise clean_row.Dropped("neither overview nor poster")
    return movie
