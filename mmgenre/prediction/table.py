"""Predicts a whole catalogue of movies: any number, in flat memory, and resumable.

Answers go to `<out>.partial`, one JSON object a line, as they come. When the last one is there the
file is turned into what was asked for. Started again after an interruption, the command goes on
behind the last whole line, if the table, the run and the options are the same.
"""

import hashlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.prediction import answers, predictions_table
from mmgenre.prediction.answers import Answerer
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.prediction.table_request import Questions, TableRequest, open_questions


def predict_table(request: TableRequest, out: Path, *, for_excel: bool = False) -> None:
    """Predicts the rows of a catalogue.

    A row that cannot be answered, or only by half, gets a note instead of ending the command.

    Args:
      request: what is asked.
      out: a new file, ending in .csv, .jsonl or .parquet.
      for_excel: see `predictions_table.convert`.

    Raises:
      UserError: an input is missing or lacks columns, or `out` exists or cannot be written.
    """
    request = request.with_own_posters()
    partial = check_out(out, ".partial")
    with open_questions(request) as questions:
        predictor = GenrePredictor.load(request.run)
        first = predictions_table.first_line(
            signature(predictor, request), questions.copied, predictor.genres
        )
        with Answerer(predictor, request, questions.copied) as answerer:
            tell(request, questions)
            try:
                done = _resume(partial, first)
                _append_answers(partial, questions, answerer, done)
                count = predictions_table.convert(partial, out, for_excel=for_excel)
                partial.unlink()
            except OSError as error:
                raise UserError(f"cannot write {out}: {error.strerror}") from error
        tell_left_out(questions)
        warn_of_missing_posters(request, answerer.posters_found, answerer.posters_named)
    print(f"{count:,} predictions: {out}")


def print_table(request: TableRequest) -> None:
    """Predicts the rows of a catalogue, and prints a JSON object for each as it comes.

    Raises:
      UserError: as `predict_table`.
    """
    request = request.with_own_posters()
    with open_questions(request) as questions:
        predictor = GenrePredictor.load(request.run)
        with Answerer(predictor, request, questions.copied) as answerer:
            tell(request, questions)
            for chunk in answers.chunks(questions):
                for record in answerer.answer(chunk):
                    print(predictions_table.json_line(record, predictor.genres))
                sys.stdout.flush()
        tell_left_out(questions)
        warn_of_missing_posters(request, answerer.posters_found, answerer.posters_named)


def check_out(out: Path, ending: str) -> Path:
    """Returns the place of what is kept beside `out`; raises UserError where it cannot be made."""
    predictions_table.check_format(out)
    files.require_new(out)
    files.require_folder(out)
    beside = out.with_name(out.name + ending)
    if beside.is_symlink():
        raise UserError(f"{beside} is a symbolic link; remove it or choose another --out")
    return beside


def tell(request: TableRequest, questions: Questions) -> None:
    """Says, on standard error, how the catalogue was read."""
    form = f"{request.catalogue} is {questions.form}; {questions.columns.describe()}"
    print(*(f"predict: {line}" for line in (form, *questions.notes)), sep="\n", file=sys.stderr)


def tell_left_out(questions: Questions) -> None:
    """Says, on standard error, which rows were not asked about."""
    if questions.left_out or questions.unreadable:
        unreadable = f", {questions.unreadable:,} cannot be read" if questions.unreadable else ""
        print(f"left out: {questions.left_out:,} rows have a genre{unreadable}", file=sys.stderr)


def warn_of_missing_posters(request: TableRequest, found: int, named: int) -> None:
    """Warns, on standard error, where most of the posters that rows name are not available."""
    if found < named / 2:
        place = request.posters or "where their cells say"
        print(f"warning: only {found:,} of {named:,} posters are at {place}", file=sys.stderr)


def signature(predictor: GenrePredictor, request: TableRequest) -> str:
    """Returns what must be the same for an interrupted command to go on."""
    parts: tuple[Any, ...] = (predictor.name, predictor.step, predictor.rules, predictor.genres)
    return hashlib.sha256(repr((*parts, *request.facts())).encode()).hexdigest()


def _append_answers(partial: Path, questions: Questions, answerer: Answerer, done: int) -> None:
    with (
        partial.open("a", encoding="utf-8") as file,
        tqdm(desc="predicting", unit="movie", initial=done, disable=None) as bar,
    ):
        for chunk in answers.chunks(itertools.islice(questions, done, None)):
            for record in answerer.answer(chunk):
                file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            bar.update(len(chunk))


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
