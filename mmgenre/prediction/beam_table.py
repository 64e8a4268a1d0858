"""Predicts a catalogue on Apache Beam, for what outgrows one machine (extra `[beam]`).

The catalogue is read here and written, `answers.CHUNK` rows a part, into `<out>.parts`, which all
workers must reach, as they must the run and the posters. Each worker loads the model once, and
answers a part at a time; a part that is answered is not answered again after an interruption.
"""

import dataclasses
import json
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.machine.beam import import_beam, pipeline
from mmgenre.prediction import answers, predictions_table, table
from mmgenre.prediction.answers import Answerer
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.prediction.table_posters import TablePosters
from mmgenre.prediction.table_request import Question, TableRequest, open_questions

_FACTS: Final = "facts.json"

_lock = threading.Lock()
_loaded: dict[str, GenrePredictor] = {}


def predict_on_beam(
    request: TableRequest,
    out: Path,
    runner: str,
    options: Sequence[str] = (),
    *,
    for_excel: bool = False,
) -> None:
    """Predicts the rows of a catalogue, as `table.predict_table` does, with the same answers.

    Args:
      request: what is asked.
      out: a new file, ending in .csv, .jsonl or .parquet.
      runner: of Beam.
      options: further ones, of Beam's pipelines.
      for_excel: see `predictions_table.convert`.

    Raises:
      UserError: as `table.predict_table`, or Beam is not installed.
    """
    beam = import_beam()
    # Workers may run elsewhere than in this folder.
    request = dataclasses.replace(request.with_own_posters(), run=os.path.abspath(request.run))
    if request.posters is not None and not request.has_server:
        request = dataclasses.replace(request, posters=os.path.abspath(request.posters))
    parts = table.check_out(out, ".parts")
    predictor = GenrePredictor.load(request.run)
    TablePosters(request)  # Raises here, not there.
    try:
        with open_questions(request) as questions:
            table.tell(request, questions)
            first = predictions_table.first_line(
                table.signature(predictor, request), questions.copied, predictor.genres
            )
            num_parts = _write_questions(parts, first, questions)
            table.tell_left_out(questions)
        print(f"{num_parts:,} parts on {runner}", file=sys.stderr)
        with pipeline(runner, options) as parts_of_work:
            _ = (
                parts_of_work
                | "Parts" >> beam.Create(range(num_parts))
                | "Spread" >> beam.Reshuffle()
                | "Answer"
                >> beam.Map(answer_part, str(parts.absolute()), request, questions.copied)
            )
        named, found = _join(parts, num_parts, first)
        count = predictions_table.convert(parts / "all.jsonl", out, for_excel=for_excel)
        shutil.rmtree(parts)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error
    table.warn_of_missing_posters(request, found, named)
    print(f"{count:,} predictions: {out}")


def answer_part(number: int, parts: str, request: TableRequest, copied: Sequence[str]) -> None:
    """Answers one part, on a worker; one that is answered already is left alone."""
    path = _answers_file(Path(parts), number)
    if path.exists():
        return
    with _questions_file(Path(parts), number).open(encoding="utf-8") as file:
        questions = [Question(**json.loads(line)) for line in file]
    with Answerer(_predictor(request.run), request, copied) as answerer:
        records = list(answerer.answer(questions))
    facts = [answerer.posters_named, answerer.posters_found]
    lines = [json.dumps(r, ensure_ascii=False, allow_nan=False) for r in [facts, *records]]
    files.write_text(path, "\n".join(lines) + "\n")


def _predictor(run: str) -> GenrePredictor:
    """Returns the model of a run, which a worker's process loads once for all its threads."""
    with _lock:
        if run not in _loaded:
            _loaded[run] = GenrePredictor.load(run)
        return _loaded[run]


def _write_questions(parts: Path, first: str, questions: Any) -> int:
    """Writes the questions in parts; keeps the answers of an interrupted command like this one."""
    facts = parts / _FACTS
    if parts.exists() and not (facts.is_file() and facts.read_text("utf-8") == first):
        if not facts.is_file():
            raise UserError(f"{parts} is no folder of this program's; choose another --out")
        shutil.rmtree(parts)
    parts.mkdir(exist_ok=True)
    files.write_text(facts, first)
    number = -1
    for number, chunk in enumerate(answers.chunks(questions)):
        lines = (json.dumps(dataclasses.asdict(question), allow_nan=False) for question in chunk)
        files.write_text(_questions_file(parts, number), "\n".join(lines) + "\n")
    return number + 1


def _join(parts: Path, num_parts: int, first: str) -> tuple[int, int]:
    """Joins all answers behind `first`; returns how many posters rows named, and how many are."""
    named = found = 0
    with (parts / "all.jsonl").open("w", encoding="utf-8") as joined:
        joined.write(first)
        for number in range(num_parts):
            with _answers_file(parts, number).open(encoding="utf-8") as lines:
                facts = json.loads(next(lines))
                named, found = named + facts[0], found + facts[1]
                shutil.copyfileobj(lines, joined)
    return named, found


def _questions_file(parts: Path, number: int) -> Path:
    return parts / f"questions-{number:06d}.jsonl"


def _answers_file(parts: Path, number: int) -> Path:
    return parts / f"answers-{number:06d}.jsonl"
