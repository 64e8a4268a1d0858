"""Predicts the genres of movies with a trained run: the model, the tokenizer and the thresholds.

    predictor = GenrePredictor.load("runs/model1")
    predictor.predict(posters=["poster.jpg"], overviews=["A boy finds a map ..."])

Posters and overviews pass through the code that prepared the training data. No TensorFlow.
"""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self

import jax
import numpy as np

from mmgenre import schema
from mmgenre.decisions.decision_rule import DecisionRule
from mmgenre.decisions.situations import SituationRules
from mmgenre.encoders.encoder_info import EncoderInfo
from mmgenre.encoders.movie_encoders import MovieEncoders
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.kernels import plain_kernels
from mmgenre.machine import devices
from mmgenre.models import fusion, predict_step
from mmgenre.prediction.movie import Movie, Poster, encode, read_movie
from mmgenre.runs.best_params import load_best_params
from mmgenre.runs.directory import RunDirectory

BATCH_SIZES: Final = (1, 8, 64)
"""Batches are padded to one of these, since each size is compiled."""

_FEW: Final = 8
"""Up to so many movies the plain kernels compile and run faster than those for batches."""


_NOTHING_KNOWN: Final = "no word of the overview is known to this run: it learns nothing from it"
_INVENTED: Final = (
    "this run was trained on invented movies (the demo corpus); its answers about real ones mean "
    "little"
)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer for one movie.

    Attributes:
      genres: the predicted ones, most probable first.
      probabilities: of every genre, in the order of the run's list.
      thresholds: of every genre: it is predicted when its probability is at least this.
      has_poster: whether the answer takes a poster into account.
      has_overview: whether it takes an overview into account.
      num_words: of the overview, as far as the model reads it, punctuation aside; and
      num_unknown: those of which that are not in the vocabulary. Both 0 where nobody counted.
      note: what to be careful about, in a sentence; empty for nothing.
    """

    genres: list[str]
    probabilities: dict[str, float]
    thresholds: dict[str, float]
    has_poster: bool
    has_overview: bool
    num_words: int = 0
    num_unknown: int = 0
    note: str = ""

    @classmethod
    def by_rule(
        cls, rule: DecisionRule, probabilities: np.ndarray, *, has_poster: bool, has_overview: bool
    ) -> Self:
        """Returns the answer that a rule makes of probabilities <float>[genres]."""
        return cls(
            genres=rule.genres(probabilities),
            probabilities=dict(zip(rule.names, map(float, probabilities), strict=True)),
            thresholds=dict(zip(rule.names, rule.thresholds, strict=True)),
            has_poster=has_poster,
            has_overview=has_overview,
        )

    def with_words(self, counts: tuple[int, int], note: str = "") -> Self:
        """Returns the same with the words that were read, as `count_words` says, and a note."""
        words, unknown = counts
        notes = [note, _NOTHING_KNOWN if words and words == unknown else ""]
        return dataclasses.replace(
            self, num_words=words, num_unknown=unknown, note="; ".join(filter(None, notes))
        )

    @property
    def ranked(self) -> list[str]:
        """All genres, most probable first."""
        return sorted(self.probabilities, key=lambda genre: -self.probabilities[genre])

    def with_top(self, top: int | None) -> Self:
        """Returns the same with the `top` most probable genres as predicted; None: as it is."""
        return self if top is None else dataclasses.replace(self, genres=self.ranked[:top])

    @property
    def missing(self) -> str | None:
        """The half that the answer had to do without, "poster" or "overview"; None for neither."""
        if not self.has_poster:
            return schema.POSTER
        return None if self.has_overview else schema.OVERVIEW

    def as_json(self) -> dict[str, Any]:
        """Returns the answer as JSON values: what `predict --json` and the server say."""
        return {
            "genres": self.genres,
            "probabilities": {g: round(p, 6) for g, p in self.probabilities.items()},
            "thresholds": self.thresholds,
            "has_poster": self.has_poster,
            "has_overview": self.has_overview,
            "missing": self.missing,
            "words": self.num_words,
            "unknown_words": self.num_unknown,
            "note": self.note,
        }


class GenrePredictor:
    """A trained model that answers; made by `load`. Safe to use from several threads."""

    def __init__(
        self,
        *,
        model: fusion.FusionModel,
        params: Any,
        tokenizer: OverviewTokenizer,
        rules: SituationRules,
        bucket_lengths: tuple[int, ...],
        name: str,
        step: int,
        encoders: MovieEncoders | None = None,
        encoder_infos: Mapping[str, EncoderInfo] = MappingProxyType({}),
        note: str = "",
    ):
        """Places the parameters on the first device; compiles at the first prediction."""
        self.model = model
        self.params = jax.device_put(jax.device_get(params), jax.local_devices()[0])
        self.tokenizer = tokenizer
        self.rules = rules
        self.bucket_lengths = bucket_lengths
        self.name = name
        self.step = step
        self.note = note
        self.encoders = encoders or MovieEncoders({})
        self.encoder_infos = dict(encoder_infos)
        self._predict_step = jax.jit(functools.partial(_predict_step, model=model))

    @classmethod
    def load(cls, run: str | os.PathLike[str], *, with_encoders: bool = True) -> Self:
        """Loads the best checkpoint of a run.

        Args:
          run: its folder.
          with_encoders: whether to load the encoders that it needs, too; without them, whoever
            asks for logits gives the vectors.

        Raises:
          UserError: `run` is no run, has no checkpoint yet, or one of its files is damaged; an
            encoder that it needs is not to be had; or JAX has no device of the platform that it is
            told to use.
        """
        directory = RunDirectory.open(run)
        config = directory.load_config()
        devices.start()
        info = directory.load_dataset_info()[0]
        genres = info.genres
        model = fusion.build(config.model, len(genres), info.vector_sizes)
        infos = {name: info.encoders[name] for name in model.vector_sizes}
        tokenizer = OverviewTokenizer.load(directory.tokenizer_file)
        params, step = load_best_params(directory, model)
        return cls(
            model=model,
            params=params,
            tokenizer=tokenizer,
            rules=SituationRules.load(directory.path, genres),
            bucket_lengths=config.data.bucket_lengths,
            name=directory.path.name,
            step=step,
            encoders=MovieEncoders.load(infos, f"the run {directory.path}")
            if with_encoders
            else None,
            encoder_infos=infos,
            note=_INVENTED if info.is_invented else "",
        )

    @property
    def genres(self) -> tuple[str, ...]:
        """The names of the genres, in the order of the logits."""
        return self.rules.names

    def predict(
        self,
        posters: Sequence[Poster | None] | None = None,
        overviews: Sequence[str | None] | None = None,
    ) -> list[Prediction]:
        """Predicts the genres of movies.

        Args:
          posters: of each movie, as `Poster` says; None for those without, or instead of the list.
          overviews: of each movie; None or blank for those without, or None instead of the list.

        Raises:
          UserError: a poster cannot be read, an overview is too long, a movie has neither, or the
            lists differ in length.
        """
        for name, values in (("posters", posters), ("overviews", overviews)):
            if isinstance(values, str | bytes | os.PathLike):
                raise UserError(f"{name} is to be a list with an entry for each movie")
        count = len(posters if posters is not None else overviews or [])
        posters = [None] * count if posters is None else posters
        overviews = [None] * count if overviews is None else overviews
        if len(posters) != len(overviews):
            raise UserError(f"there are {len(posters)} posters but {len(overviews)} overviews")
        movies = [
            self.movie(poster, overview, number=None if count == 1 else number)
            for number, (poster, overview) in enumerate(zip(posters, overviews, strict=True))
        ]
        return self.answer_movies(movies)

    def movie(
        self, poster: Poster | None, overview: str | None, *, number: int | None = None
    ) -> Movie:
        """Returns a movie as the model takes it; see `movie.read_movie`."""
        side = self.encoders.side
        return read_movie(poster, overview, self.encode, number=number, side=side)

    def answer_movies(self, movies: Sequence[Movie]) -> list[Prediction]:
        """Returns the answer for each of any number of movies."""
        return [
            self.answer(
                row, has_poster=movie.has_poster, has_overview=movie.has_overview
            ).with_words(self.tokenizer.count_words(movie.tokens), self.note)
            for row, movie in zip(self.movie_logits(movies), movies, strict=True)
        ]

    def movie_logits(self, movies: Sequence[Movie]) -> np.ndarray:
        """Returns the logits <float32>[movies, genres]; the model's encoders run here."""
        vectors = self.vectors(movies)
        return self.logits([m.poster for m in movies], [m.tokens for m in movies], vectors)

    def vectors(self, movies: Sequence[Movie]) -> dict[str, np.ndarray]:
        """Returns the vectors <float16>[movies, size] of the model's encoders, by feature."""
        return self.encoders.vectors([m.large for m in movies], [m.text for m in movies])

    def answer(self, logits: np.ndarray, *, has_poster: bool, has_overview: bool) -> Prediction:
        """Returns the answer that the logits <float32>[genres] of a movie make.

        By the rule for what there is of it: a poster alone has other thresholds than both.
        """
        rule = self.rules.of(has_poster=has_poster, has_overview=has_overview)
        return Prediction.by_rule(
            rule, rule.probabilities(logits), has_poster=has_poster, has_overview=has_overview
        )

    def encode(self, overview: str | None) -> np.ndarray:
        """Returns the tokens <int32>[n] of an overview, at most as many as the model reads.

        None where there is no overview to read: "No overview found." says as little as "".

        Raises:
          UserError: it is longer than `overview_text.MAX_CHARACTERS`.
        """
        return encode(self.tokenizer, overview, self.bucket_lengths[-1])

    def logits(
        self,
        posters: Sequence[np.ndarray | None],
        tokens: Sequence[np.ndarray],
        vectors: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> np.ndarray:
        """Returns the logits <float32>[movies, genres].

        Args:
          posters: <uint8>[64, 64, 3] of each movie, or None.
          tokens: <int32>[n] of each movie, maybe none; cut to what the model reads.
          vectors: <float16>[movies, size] by feature, of the model's encoders; zeros for those
            that are not given.
        """
        logits = np.zeros((len(posters), len(self.genres)), np.float32)
        order = np.argsort([len(words) for words in tokens], kind="stable")
        for start in range(0, len(order), BATCH_SIZES[-1]):
            movies = order[start : start + BATCH_SIZES[-1]]
            batch = self.batch(
                [posters[m] for m in movies],
                [tokens[m] for m in movies],
                {name: rows[movies] for name, rows in vectors.items()},
            )
            result = self._predict_step(self.params, batch)
            logits[movies] = np.asarray(result)[: len(movies)]
        return logits

    def batch(
        self,
        posters: Sequence[np.ndarray | None],
        tokens: Sequence[np.ndarray],
        vectors: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> dict[str, np.ndarray]:
        """Puts at most 64 movies into a batch of a size and a length that is compiled for."""
        size = next(size for size in BATCH_SIZES if size >= len(posters))
        longest = max(len(words) for words in tokens)
        length = next((b for b in self.bucket_lengths if b >= longest), self.bucket_lengths[-1])
        pixels = np.zeros((size, *schema.POSTER_SHAPE), np.uint8)
        words = np.full((size, length), schema.PAD_ID, np.int32)
        lengths = np.ones(size, np.int32)
        for row, (poster, ids) in enumerate(zip(posters, tokens, strict=True)):
            if poster is not None:
                pixels[row] = poster
            words[row, : len(ids)] = ids[:length]
            lengths[row] = max(1, min(len(ids), length))
        padded = {}
        for name, width in self.model.vector_sizes.items():
            padded[name] = np.zeros((size, width), np.float16)
            if name in vectors:
                padded[name][: len(posters)] = vectors[name]
        return {
            **padded,
            schema.POSTER: pixels,
            schema.TOKENS: words,
            schema.LENGTH: lengths,
            schema.ROW: np.arange(size, dtype=np.int32),
        }


def _predict_step(params: Any, batch: fusion.Batch, *, model: fusion.FusionModel) -> jax.Array:
    """As `predict_step.predict_step`, with the kernels that suit the batch."""
    if len(batch[schema.ROW]) > _FEW:
        return predict_step.predict_step(params, batch, model=model)
    with plain_kernels.kernels():
        return predict_step.predict_step(params, batch, model=model)
