"""Answers to the rows of a catalogue, a few hundred at a time."""

import concurrent.futures
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from mmgenre.inputs.overview_text import MAX_CHARACTERS
from mmgenre.prediction.predictor import GenrePredictor, Prediction
from mmgenre.prediction.table_posters import TablePosters
from mmgenre.prediction.table_request import Question, TableRequest

CHUNK: Final = 256
"""Rows that are answered together."""

_DOWNLOADS: Final = 32  # At a time.


class Answerer:
    """Answers questions with a predictor. A context manager: it has threads.

    Args:
      predictor: that answers.
      request: what is asked.
      copied: the columns of the catalogue that answers have, too.

    Attributes:
      posters_named: posters that rows name, so far; and
      posters_found: those of which there are.

    Raises:
      UserError: the place of posters cannot be used.
    """

    def __init__(self, predictor: GenrePredictor, request: TableRequest, copied: Sequence[str]):
        self.posters_named = self.posters_found = 0
        self._predictor = predictor
        self._copied = tuple(copied)
        self._posters = TablePosters(request)
        self._top = request.top
        fetches = request.has_server or request.addresses != "none"
        self._pool = concurrent.futures.ThreadPoolExecutor(_DOWNLOADS if fetches else None)

    def __enter__(self) -> "Answerer":
        return self

    def __exit__(self, *unused: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
        """Yields a record for each question, in their order, as JSON values."""
        loaded = list(self._pool.map(self._posters.load, questions))
        notes = [
            [note for note in (question.note, why) if note]
            for question, (_, why) in zip(questions, loaded, strict=True)
        ]
        tokens = []
        for question, note in zip(questions, notes, strict=True):
            if len(question.overview) > MAX_CHARACTERS:
                note.append(f"overview cut to {MAX_CHARACTERS:,} characters")
            tokens.append(self._predictor.encode(question.overview[:MAX_CHARACTERS]))
        pixels = [poster for poster, _ in loaded]
        logits = self._predictor.logits(pixels, tokens)
        for question, poster, words, note, values in zip(
            questions, pixels, tokens, notes, logits, strict=True
        ):
            known = poster is not None or len(words) > 0
            if not known and not question.note:
                note.append("neither poster nor overview: no prediction")
            found = self._predictor.answer(
                values, has_poster=poster is not None, has_overview=len(words) > 0
            )
            self.posters_found += poster is not None
            self.posters_named += poster is not None or bool(question.poster)
            yield {
                **{name: getattr(question, name) for name in self._copied},
                "genres": self._chosen(found) if known else [],
                "probabilities": [
                    round(value, 6) if known else None for value in found.probabilities.values()
                ],
                "has_poster": poster is not None,
                "has_overview": len(words) > 0,
                "note": "; ".join(note),
            }

    def _chosen(self, found: Prediction) -> list[str]:
        """Returns the predicted genres, or the most probable ones, as many as asked for."""
        if self._top is None:
            return found.genres
        probabilities = found.probabilities
        return sorted(probabilities, key=lambda genre: -probabilities[genre])[: self._top]


def chunks(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """Yields the questions, `CHUNK` at a time."""
    questions = iter(questions)
    while chunk := list(itertools.islice(questions, CHUNK)):
        yield chunk
