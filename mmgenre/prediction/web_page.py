"""A page to try a run in a browser: a poster and an overview in, genres and reasons out.

Needs the extra `demo`. One address, `/`, and one form. The server keeps nothing of what it is sent:
a poster that was chosen comes back in the page as the pixels that the model sees, so that
the overview can be changed without choosing it again. The page has no script and loads nothing.
"""

import base64
import contextlib
import dataclasses
import functools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.html import pages
from mmgenre.inputs import overview_text
from mmgenre.inputs.poster_decoder import PosterError
from mmgenre.prediction import explanation, web_form, web_server
from mmgenre.prediction.movie import DecodedPoster, decode
from mmgenre.prediction.predictor import GenrePredictor, Prediction
from mmgenre.prediction.web_form import BadForm
from mmgenre.prediction.web_guard import Guard

MAX_UPLOAD: Final = 10 << 20
"""Bytes of the largest poster that is taken."""

# Styles and pictures are inside the page, and that is all that it has.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_FIELDS: Final[Mapping[str, type]] = {
    "poster": UploadFile,
    "overview": str,
    "kept": str,  # The pixels of the poster of before, in base 64.
    "forget": str,  # Whether that poster is to go.
    "example": str,  # Its number; nothing else counts then.
}
_EXAMPLES: Final = 6
_REASONS: Final = "<!--reasons-->"
"""Where the reasons come in the page: no text of a movie's can hold it, since < is escaped."""


@dataclasses.dataclass(frozen=True)
class Movie:
    """What is asked about.

    Attributes:
      poster: as the model takes it, or None.
      overview: "" for none.
    """

    poster: DecodedPoster | None = None
    overview: str = ""

    @property
    def kept(self) -> str:
        """The poster's pixels, as the form sends them back."""
        if self.poster is None:
            return ""
        large = b"" if self.poster.large is None else self.poster.large.tobytes()
        return base64.b64encode(self.poster.pixels.tobytes() + large).decode()

    @property
    def picture(self) -> str:
        """The poster as a PNG file, in base 64."""
        return "" if self.poster is None else explanation.png(Image.fromarray(self.poster.pixels))


class _Page:
    """The page of a run."""

    def __init__(self, predictor: GenrePredictor, examples: list[Movie]):
        self._predictor = predictor
        self._examples = examples
        self._side = predictor.encoders.side
        kept = math.prod(schema.POSTER_SHAPE) + 3 * self._side**2
        self._max_text = max(web_form.MAX_TEXT, 4 * -(-kept // 3))
        self._of_examples: dict[int, str] = {}
        self._finding = threading.Lock()
        self._computing = threading.Lock()  # One answer at a time: each takes all cores.

    async def show(self, request: Request) -> Response:
        """Answers with the empty form, and the first example's genres and reasons."""
        return await run_in_threadpool(self._answer_example, 0, Movie())

    async def answer(self, request: Request) -> Response:
        """Answers with the form as it was sent, the genres, and then the reasons."""
        try:
            fields = await web_form.read_form(
                request, _FIELDS, max_upload=MAX_UPLOAD, max_text=self._max_text
            )
        except BadForm as error:
            return PlainTextResponse(f"error: {error}\n", status_code=400)
        return await run_in_threadpool(self._answer, fields)

    def _answer(self, fields: dict[str, str | bytes]) -> Response:
        movie = Movie(overview=_overview(fields))
        try:
            if (number := fields.get("example")) is not None:
                places = {str(place): place for place in range(len(self._examples))}
                if number not in places:
                    raise BadForm("there is no such example")
                place = places[str(number)]
                return self._answer_example(place, self._examples[place])
            movie = self._movie(fields)
            with self._computing:
                prediction = self._predictor.predict([movie.poster], [movie.overview])[0]
        except BadForm as error:
            return PlainTextResponse(f"error: {error}\n", status_code=400)
        except UserError as error:
            with contextlib.suppress(BadForm):  # What was chosen before is not lost by a mistake.
                movie = dataclasses.replace(movie, poster=_kept(fields, self._side))
            return HTMLResponse(
                self._page(movie, problem=web_form.sentence(error)), status_code=422
            )
        pieces = self._pieces(movie, prediction, movie, lambda: self._reasons(movie))
        return StreamingResponse(pieces, media_type="text/html")

    def _answer_example(self, place: int, form: Movie) -> Response:
        """Answers for an example, with `form` in the form."""
        example = self._examples[place]
        with self._computing:
            prediction = self._predictor.predict([example.poster], [example.overview])[0]
        pieces = self._pieces(example, prediction, form, lambda: self._reasons_of_example(place))
        return StreamingResponse(pieces, media_type="text/html")

    def _movie(self, fields: dict[str, str | bytes]) -> Movie:
        """Returns the movie of a form; raises UserError where its poster cannot be used."""
        poster = _kept(fields, self._side)
        if data := fields.get("poster"):
            assert isinstance(data, bytes)
            poster = _decode(data, self._side)
        return Movie(poster, _overview(fields))

    def _pieces(
        self, movie: Movie, prediction: Prediction, form: Movie, reasons: Callable[[], str]
    ) -> Iterator[str]:
        """Yields the page up to the reasons, the reasons, and the rest."""
        pixels = None if movie.poster is None else movie.poster.pixels
        values = explanation.page_values(self._predictor, prediction, pixels)
        values["of_example"] = form is not movie
        before, _, after = self._page(form, answer=values).partition(_REASONS)
        yield before
        yield reasons()
        yield after

    def _reasons(self, movie: Movie) -> str:
        with self._computing:
            reasons = explanation.explain(self._predictor, movie.poster, movie.overview)
        values = explanation.explanation_values(self._predictor, reasons)
        return pages.render("reasons.html.j2", opened=False, **values)

    def _reasons_of_example(self, place: int) -> str:
        """Returns the reasons of an example, which are found once."""
        with self._finding:
            if place not in self._of_examples:
                self._of_examples[place] = self._reasons(self._examples[place])
            return self._of_examples[place]

    def _page(
        self, movie: Movie, *, answer: dict[str, Any] | None = None, problem: str = ""
    ) -> str:
        values = {
            "run": self._predictor.name,
            "num_genres": len(self._predictor.genres),
            "max_characters": overview_text.MAX_CHARACTERS,
            "max_upload": MAX_UPLOAD >> 20,
            "movie": movie,
            "examples": self._examples,
            "prediction": None,
            "problem": problem,
            "reasons": _REASONS,
        }
        return pages.render("web_page.html.j2", **values | (answer or {}))


def _overview(fields: Mapping[str, str | bytes]) -> str:
    return str(fields.get("overview", "")).replace("\r\n", "\n")  # As forms send line ends.


def _kept(fields: Mapping[str, str | bytes], side: int) -> DecodedPoster | None:
    """Returns the poster that was chosen before, unless it is to be forgotten."""
    text = fields.get("kept", "")
    if not text or fields.get("forget"):
        return None
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        count = math.prod(schema.POSTER_SHAPE)
        pixels = data[:count].reshape(schema.POSTER_SHAPE).copy()
        large = data[count:].reshape((side, side, 3)).copy()
        return DecodedPoster(pixels, large if side else None)
    except ValueError as error:
        raise BadForm("the poster of before is not as this page sends it") from error


def _decode(data: bytes, side: int) -> DecodedPoster:
    if len(data) > MAX_UPLOAD:
        raise UserError(f"the poster is larger than {MAX_UPLOAD >> 20} MiB")
    try:
        return decode(data, side, isolated=True)
    except PosterError as error:
        raise UserError(f"the poster cannot be used: {error}") from error


def build_app(predictor: GenrePredictor, hosts: Iterable[str] = ()) -> ASGIApp:
    """Returns the page of a run, behind its guard.

    Args:
      predictor: the run.
      hosts: names that the page may be opened by, beside those that `Guard` knows.
    """
    page = _Page(predictor, example_movies(predictor.encoders.side))
    routes = [
        Route("/", page.show, methods=["GET"]),
        Route("/", page.answer, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), hosts=hosts, policy=_POLICY)


@functools.cache
def example_movies(side: int = 0) -> list[Movie]:
    """Returns a few movies of the demo corpus that have a poster and an overview."""
    from data_prep.demo.corpus import generate

    movies = [
        Movie(decode(jpeg, side), row["overview"])
        for row, jpeg in generate(2 * _EXAMPLES, seed=2)
        if jpeg is not None and len(row["overview"]) > 40
    ]
    return movies[:_EXAMPLES]


def serve(run: str, host: str, port: int, hosts: Iterable[str] = ()) -> None:
    """Serves the page of a run until it is interrupted.

    Raises:
      UserError: the address cannot be listened on, or the run cannot be loaded.
      KeyboardInterrupt: SIGINT came.
    """
    with web_server.listen(host, port) as listener:
        app = build_app(GenrePredictor.load(run), (host, *hosts))
        print(f"open {web_server.address(listener)} in a browser; Ctrl-C ends it", flush=True)
        web_server.run(app, listener)
