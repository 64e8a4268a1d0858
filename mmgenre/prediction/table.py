"""Predicts a whole table of movies: any number, in flat memory, and resumable.

Answers go to `<out>.partial`, one JSON object a line, as they come. When the last one is there the
file is turned into what was asked for. Started again after an interruption, the command goes on
behind the last whole line, if the table, the run and the options are the same.
"""

import concurrent.futures
import csv
import functools
import hashlib
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from mmgenre.errors import UserError
from mmgenre.inputs.overview_text import MAX_CHARACTERS
from mmgenre.inputs.poster_decoder import PosterError, decode_poster
from mmgenre.inputs.poster_source import Addresses, AddressNotFetched, is_url, read_poster
from mmgenre.machine import files
from mmgenre.prediction import predictions_table
from mmgenre.prediction.predictor import GenrePredictor

_CHUNK: Final = 256
_COPIED: Final = ("id", "title")
_POSTER_COLUMNS: Final = ("poster", "poster_path")
_MAX_FIELD: Final = 64 << 20


def predict_csv(
    run: str,
    *,
    csv_file: Path,
    posters: Path | None,
    out: Path,
    addresses: Addresses = "none",
    for_excel: bool = False,
) -> None:
    """Predicts every row of a table.

    A row that cannot be answered, or only by half, gets a note instead of ending the command.

    Args:
      run: folder of a run.
      csv_file: UTF-8 with a header: a column "overview", a column "poster" (or "poster_path"), or
        both; "id" and "title" are copied.
      posters: the folder that posters are named in; None for paths as they are.
      out: a new file, ending in .csv, .jsonl or .parquet.
      addresses: of posters that are fetched: the table may be somebody else's.
      for_excel: see `predictions_table.convert`.

    Raises:
      UserError: an input is missing or lacks columns, or `out` exists or cannot be written.
    """
    predictions_table.check_format(out)
    files.require_new(out)
    files.require_folder(out)
    if posters is not None and not posters.is_dir():
        raise UserError(f"there is no folder {posters} with posters")
    columns = read_columns(csv_file)
    if posters is not None and not columns & set(_POSTER_COLUMNS):
        raise UserError(f"{csv_file} has no column poster to look up in {posters}")
    predictor = GenrePredictor.load(run)
    partial = out.with_name(out.name + ".partial")
    if partial.is_symlink():
        raise UserError(f"{partial} is a symbolic link; remove it or choose another --out")
    signature = _signature(predictor, csv_file, posters, addresses)
    load = functools.partial(_load_poster, folder=posters, addresses=addresses)
    try:
        copied = [name for name in _COPIED if name in columns]
        done = _resume(partial, predictions_table.first_line(signature, copied, predictor.genres))
        with partial.open("a", encoding="utf-8") as file:
            bar = tqdm(desc="predicting", unit="movie", initial=done, disable=None)
            rows = itertools.islice(read_rows(csv_file), done, None)
            with bar, concurrent.futures.ThreadPoolExecutor() as pool:
                while chunk := list(itertools.islice(rows, _CHUNK)):
                    for record in _answer(predictor, chunk, load, pool):
                        file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
                    file.flush()
                    bar.update(len(chunk))
        count = predictions_table.convert(partial, out, for_excel=for_excel)
        partial.unlink()
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error
    print(f"{count:,} predictions: {out}")


def read_columns(csv_file: Path) -> set[str]:
    """Returns the names in a table's header; raises UserError where it is none for predicting."""
    with _open(csv_file) as lines:
        try:
            header = next(csv.reader(lines), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{csv_file} is no UTF-8 CSV table: {error}") from error
    columns = set(header)
    if not columns & {"overview", *_POSTER_COLUMNS}:
        found = ", ".join(header[:8]) or "nothing"
        raise UserError(
            f"{csv_file} has neither a column overview nor poster; its columns: {found[:200]}"
        )
    return columns


def read_rows(csv_file: Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a table, one at a time; raises UserError where it is damaged."""
    csv.field_size_limit(_MAX_FIELD)
    with _open(csv_file) as lines:
        reader = csv.DictReader(lines, restval="")
        try:
            yield from reader
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{csv_file}, line {reader.line_num}: {error}") from error


def _open(csv_file: Path) -> Any:
    try:
        return csv_file.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UserError(f"cannot read {csv_file}: {error.strerror}") from error


def _answer(
    predictor: GenrePredictor,
    rows: list[dict[str, str]],
    load: Callable[[dict[str, str]], tuple[np.ndarray | None, str]],
    pool: concurrent.futures.Executor,
) -> Iterator[dict[str, Any]]:
    loaded = list(pool.map(load, rows))
    overviews = [row.get("overview") or "" for row in rows]
    notes = [[note] if note else [] for _, note in loaded]
    tokens = []
    for overview, note in zip(overviews, notes, strict=True):
        if len(overview) > MAX_CHARACTERS:
            note.append(f"overview cut to {MAX_CHARACTERS:,} characters")
        tokens.append(predictor.encode(overview[:MAX_CHARACTERS]))
    pixels = [poster for poster, _ in loaded]
    probabilities = predictor.rule.probabilities(predictor.logits(pixels, tokens))
    for row, poster, words, note, values in zip(
        rows, pixels, tokens, notes, probabilities, strict=True
    ):
        known = poster is not None or len(words) > 0
        if not known:
            note.append("neither poster nor overview: no prediction")
        yield {
            **{name: row[name] for name in _COPIED if name in row},
            "genres": predictor.rule.genres(values) if known else [],
            "probabilities": [round(float(value), 6) if known else None for value in values],
            "has_poster": poster is not None,
            "has_overview": len(words) > 0,
            "note": "; ".join(note),
        }


def _load_poster(
    row: dict[str, str], folder: Path | None, addresses: Addresses
) -> tuple[np.ndarray | None, str]:
    """Returns a row's poster, or None and why there is none ("" where it names none)."""
    name = next((row[column] for column in _POSTER_COLUMNS if row.get(column)), "").strip()
    if not name:
        return None, ""
    try:
        if is_url(name):
            return decode_poster(read_poster(name, addresses)), ""
        # Kaggle's names begin with a slash, but are meant relative to the folder.
        path = Path(name) if folder is None else folder / name.lstrip("/")
        if folder is not None and ".." in path.parts:
            return None, "poster outside of the folder"
        if _waits(path):
            return None, f"poster: {path} is no ordinary file"
        return decode_poster(read_poster(path)), ""
    except PosterError as error:
        return None, f"poster: {error}"
    except AddressNotFetched as error:
        option = "--fetch-posters any" if addresses == "public" else "--fetch-posters"
        return None, f"{error} ({option} allows it)" if addresses != "any" else str(error)
    except UserError as error:
        return None, str(error)


def _waits(path: Path) -> bool:
    """Whether a path that somebody else chose is a pipe or a device, which may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False  # Reading says why.
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _signature(
    predictor: GenrePredictor, csv_file: Path, posters: Path | None, addresses: Addresses
) -> str:
    """Returns what must be the same for an interrupted command to go on."""
    facts = csv_file.stat()
    parts = (
        predictor.name,
        predictor.step,
        predictor.rule,
        csv_file.absolute(),
        facts.st_size,
        facts.st_mtime_ns,
        posters and posters.absolute(),
        addresses,
        predictor.genres,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _resume(partial: Path, first: str) -> int:
    """Prepares the partial file, and returns how many movies it holds already behind `first`."""
    if partial.exists():
        with partial.open("rb") as file:
            if file.readline() == first.encode():
                done, end = 0, file.tell()
                for line in file:
                    if not line.endswith(b"\n"):  # Cut off in writing.
                        break
                    done, end = done + 1, end + len(line)
                os.truncate(partial, end)
                return done
    partial.write_text(first, "utf-8")
    return 0
