"""Answers with an exported bundle, as `predictor` does with the run that it was made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from mmgenre import schema
from mmgenre.encoders.movie_encoders import MovieEncoders
from mmgenre.machine import devices
from mmgenre.prediction.bundle import Bundle
from mmgenre.prediction.movie import Movie, Poster, encode, read_movie
from mmgenre.prediction.predictor import BATCH_SIZES, Prediction


class BundlePredictor:
    """A bundle that answers; made by `open`. Safe to use from several threads.

    A wholly black poster is no poster to a bundle: that is how its model is told of a missing one.
    """

    def __init__(self, bundle: Bundle, encoders: MovieEncoders):
        self._bundle = bundle
        self.encoders = encoders

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens a bundle; raises UserError as `Bundle.open` and `MovieEncoders.load` do."""
        devices.start()
        bundle = Bundle.open(folder)
        return cls(bundle, MovieEncoders.load(bundle.encoders, f"the bundle {folder}"))

    @property
    def name(self) -> str:
        """The name of the run that was exported."""
        return self._bundle.name

    @property
    def step(self) -> int:
        """The training step of its parameters."""
        return self._bundle.step

    @property
    def genres(self) -> tuple[str, ...]:
        """The names of the genres, in the order of the probabilities."""
        return self._bundle.rules.names

    @property
    def bucket_lengths(self) -> tuple[int, ...]:
        """The lengths that overviews are padded to: one."""
        return (self._bundle.max_tokens,)

    def movie(
        self, poster: Poster | None, overview: str | None, *, number: int | None = None
    ) -> Movie:
        """Returns a movie as the model takes it; see `movie.read_movie`."""
        bundle = self._bundle
        return read_movie(
            poster,
            overview,
            lambda text: encode(bundle.tokenizer, text, bundle.max_tokens),
            number=number,
            side=self.encoders.side,
        )

    def answer_movies(self, movies: Sequence[Movie]) -> list[Prediction]:
        """Returns the answer for each of any number of movies."""
        answers: list[Prediction] = []
        for start in range(0, len(movies), BATCH_SIZES[-1]):
            some = movies[start : start + BATCH_SIZES[-1]]
            rows = self._probabilities(some)
            answers += [self._answer(row, movie) for row, movie in zip(rows, some, strict=False)]
        return answers

    def _probabilities(self, movies: Sequence[Movie]) -> np.ndarray:
        """Returns <float32>[size, genres] of a batch of a size that is compiled for."""
        size = next(size for size in BATCH_SIZES if size >= len(movies))
        posters = np.zeros((size, *schema.POSTER_SHAPE), np.uint8)
        for row, movie in enumerate(movies):
            if movie.poster is not None:
                posters[row] = movie.poster
        none = np.zeros(0, np.int32)
        padding = size - len(movies)
        vectors = self.encoders.vectors(
            [*(m.large for m in movies), *[None] * padding],
            [*(m.text for m in movies), *[""] * padding],
        )
        tokens = [m.tokens for m in movies] + [none] * padding
        return self._bundle.probabilities(posters, tokens, vectors)

    def _answer(self, probabilities: np.ndarray, movie: Movie) -> Prediction:
        has_poster = movie.poster is not None and bool(movie.poster.any())
        rule = self._bundle.rules.of(has_poster=has_poster, has_overview=movie.has_overview)
        found = Prediction.by_rule(
            rule, probabilities, has_poster=has_poster, has_overview=movie.has_overview
        )
        return found.with_words(self._bundle.tokenizer.count_words(movie.tokens))
