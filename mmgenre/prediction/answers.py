"""Answers to the rows of a catalogue, a few hundred at a time."""

import concurrent.futures
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from mmgenre.inputs import overview_text
from mmgenre.inputs.overview_text import MAX_CHARACTERS
from mmgenre.prediction.movie import DecodedPoster, Movie
from mmgenre.prediction.predictor import GenrePredictor
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
        self._posters = TablePosters(request, predictor.encoders.side)
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
        movies = []
        for question, (poster, _), note in zip(questions, loaded, notes, strict=True):
            if len(question.overview) > MAX_CHARACTERS:
                note.append(f"overview cut to {MAX_CHARACTERS:,} characters")
            movies.append(self._movie(poster, question.overview[:MAX_CHARACTERS]))
        logits = self._predictor.movie_logits(movies)
        for question, movie, note, values in zip(questions, movies, notes, logits, strict=True):
            known = movie.has_poster or movie.has_overview
            if not known and not question.note:
                note.append("neither poster nor overview: no prediction")
            found = self._predictor.answer(
                values, has_poster=movie.has_poster, has_overview=movie.has_overview
            )
            words, unknown = self._predictor.tokenizer.count_words(movie.tokens)
            self.posters_found += movie.has_poster
            self.posters_named += movie.has_poster or bool(question.poster)
            yield {
                **{name: getattr(question, name) for name in self._copied},
                "genres": found.with_top(self._top).genres if known else [],
                "probabilities": [
                    round(value, 6) if known else None for value in found.probabilities.values()
                ],
                "has_poster": movie.has_poster,
                "has_overview": movie.has_overview,
                "words": words,
                "unknown_words": unknown,
                "note": "; ".join(note),
            }

    def _movie(self, poster: DecodedPoster | None, overview: str) -> Movie:
        return Movie(
            None if poster is None else poster.pixels,
            self._predictor.encode(overview),
            None if poster is None else poster.large,
            overview_text.known(overview),
        )


def chunks(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """Yields the questions, `CHUNK` at a time."""
    questions = iter(questions)
    while chunk := list(itertools.islice(questions, CHUNK)):
        yield chunk
