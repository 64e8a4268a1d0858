"""What a request asks about, read from its body: movies, within the server's limits."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from mmgenre.errors import UserError
from mmgenre.inputs import poster_decoder
from mmgenre.inputs.limited_decoder import LimitedDecoder
from mmgenre.inputs.poster_decoder import PosterError
from mmgenre.prediction.movie import DecodedPoster, Movie
from mmgenre.serving.settings import Settings

_SHAPE: Final = '{"movies": [{"overview": "...", "poster": "<an image file in base 64>"}]}'


class Mistake(Exception):
    """A client's mistake, or a request that cannot be answered now; the message says what.

    Attributes:
      status: of HTTP.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Question(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A movie as a client sends it.

    Attributes:
      overview: None or blank for none.
      poster: the bytes of an image file; None or empty for none.
    """

    overview: str | None = None
    poster: bytes | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    movies: list[Question]


_decoder: Final = msgspec.json.Decoder(_Body)


def parse_json(body: bytes) -> list[Question]:
    """Returns the movies of a JSON body.

    Raises:
      Mistake: it is no JSON, or has another form.
    """
    try:
        return _decoder.decode(body).movies
    except msgspec.ValidationError as error:
        raise Mistake(422, f"the JSON is to be {_SHAPE}, but: {error}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Mistake(400, f"the body is no JSON: {error}") from error


@dataclasses.dataclass(frozen=True)
class Reader:
    """Makes movies for the model of what clients send.

    Attributes:
      read_movie: a poster's pixels, overview and number to a movie; raises UserError.
      settings: the limits.
      side: of the pictures that the model's frozen encoder takes; 0 where it has none.
    """

    read_movie: Callable[[DecodedPoster | None, str | None, int | None], Movie]
    settings: Settings
    side: int = 0

    def read(
        self, questions: Sequence[Question], decoder: LimitedDecoder, until: float
    ) -> list[Movie]:
        """Returns the movies of a request.

        Args:
          questions: as they came.
          decoder: for their posters.
          until: by `time.monotonic`: nobody waits for the answer later than that.

        Raises:
          Mistake: something cannot be used, is too large or too much, or it is too late.
        """
        limits = self.settings
        if not questions:
            raise Mistake(422, "there is no movie in the request")
        if len(questions) > limits.max_movies:
            raise Mistake(
                413, f"there are {len(questions):,} movies, at most {limits.max_movies} are taken"
            )
        pixels_left, movies = limits.max_pixels, []
        for number, question in enumerate(questions):
            which = number if len(questions) > 1 else None
            of_which = "" if which is None else f" of movie {which}"
            overview = question.overview
            if overview is not None and len(overview) > limits.max_characters:
                raise Mistake(
                    413,
                    f"the overview{of_which} is too long: {len(overview):,} characters, at most "
                    f"{limits.max_characters:,} are read",
                )
            pixels = None
            if question.poster:
                if time.monotonic() > until:
                    raise Mistake(504, "this took too long")
                pixels, used = self._decode(question.poster, of_which, decoder, pixels_left)
                pixels_left -= used
            try:
                movies.append(self.read_movie(pixels, overview, which))
            except UserError as error:
                raise Mistake(422, str(error)) from error
        return movies

    def _decode(
        self, data: bytes, of_which: str, decoder: LimitedDecoder, pixels_left: int
    ) -> tuple[DecodedPoster, int]:
        """Returns the poster for the model, and how many the file has."""
        limits = self.settings
        if len(data) > limits.max_poster_mib << 20:
            raise Mistake(413, f"the poster{of_which} is larger than {limits.max_poster_mib} MiB")
        try:
            file = poster_decoder.parse_poster(data)
            if file.num_pixels > pixels_left:
                raise Mistake(
                    413,
                    f"the poster{of_which} has too many pixels: {file.num_pixels:,}; a request's "
                    f"posters have at most {limits.max_pixels:,} together",
                )
            pixels = poster_decoder.decode_isolated(file, decoder)
            large = poster_decoder.decode_isolated(file, decoder, self.side) if self.side else None
            return DecodedPoster(pixels, large), file.num_pixels
        except PosterError as error:
            raise Mistake(422, f"the poster{of_which} cannot be used: {error}") from error
        except UserError as error:  # No process can be started: not the client's mistake.
            raise Mistake(503, str(error)) from error
