"""The application: its addresses, what they take, and how they say what is wrong."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import mmgenre
from mmgenre.html import pages
from mmgenre.prediction.web_form import BadForm, read_form, sentence
from mmgenre.prediction.web_guard import Guard, Limits, Refused
from mmgenre.serving import api_schema
from mmgenre.serving.access_token import admission
from mmgenre.serving.metrics import Metrics
from mmgenre.serving.request_movies import Mistake, Question, parse_json
from mmgenre.serving.service import Service
from mmgenre.serving.settings import Settings

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
PREDICT: Final = "/v1/predict"
HEALTH: Final = "/healthz"
METRICS: Final = "/metrics"
DOCS: Final = "/docs"
SCHEMA: Final = "/openapi.json"
_OPEN: Final = frozenset((HEALTH, DOCS, SCHEMA))
"""What needs no token."""

PATHS: Final = frozenset((PREDICT, HEALTH, METRICS, DOCS, SCHEMA))
_FIELDS: Final[Mapping[str, type]] = {"poster": UploadFile, "overview": str}
_RETRY: Final = {"Retry-After": "1"}


def _said(status: int, error: Exception, headers: Mapping[str, str] | None = None) -> JSONResponse:
    if status == 503:
        headers = {**_RETRY, **(headers or {})}
    return JSONResponse({"error": sentence(error)}, status, headers)


class _Routes:
    """What the addresses answer."""

    def __init__(self, service: Service, metrics: Metrics):
        self._service = service
        self._metrics = metrics

    async def predict(self, request: Request) -> Response:
        """Answers for the movie of a form, or for the movies of a JSON body."""
        kind = request.headers.get("content-type", "").lower()
        media, _, parameters = (part.strip() for part in kind.partition(";"))
        if media == "multipart/form-data":
            question = await self._form(request)
            (answer,) = await self._service.answer(lambda: [question])
            return JSONResponse(answer.as_json())
        if media == "application/json" and parameters in ("", "charset=utf-8"):
            body = await request.body()
            answers = await self._service.answer(functools.partial(parse_json, body))
            return JSONResponse({"movies": [answer.as_json() for answer in answers]})
        raise Mistake(
            415, "send a form (multipart/form-data) with poster and overview, or application/json"
        )

    async def _form(self, request: Request) -> Question:
        settings = self._service.settings
        try:
            fields = await read_form(
                request,
                _FIELDS,
                max_upload=settings.max_poster_mib << 20,
                # A character has up to four bytes, and one more shows that there are too many.
                max_text=4 * settings.max_characters + 4,
            )
        except BadForm as error:
            raise Mistake(400, f"the form cannot be read: {error}") from error
        overview, poster = fields.get("overview"), fields.get("poster")
        return Question(
            overview if isinstance(overview, str) else None,
            poster if isinstance(poster, bytes) else None,
        )

    async def health(self) -> Response:
        """Says that the server answers, and with which model."""
        model = self._service.model
        return JSONResponse(
            {"status": "ok", "run": model.name, "step": model.step, "version": mmgenre.__version__}
        )

    async def metrics(self) -> Response:
        """Returns counts and times in Prometheus' text format."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def docs(self, request: Request) -> Response:
        """Shows what the server takes and answers: a page that loads nothing."""
        values: dict[str, Any] = {
            "run": self._service.model.name,
            "address": str(request.base_url).rstrip("/"),
            "genres": self._service.model.genres,
            "settings": self._service.settings,
            "mistakes": api_schema.mistakes(),
        }
        return HTMLResponse(pages.render("server_page.html.j2", **values))


def build_app(
    service: Service,
    metrics: Metrics,
    settings: Settings,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
) -> ASGIApp:
    """Returns the application of a server, behind its guard.

    Args:
      service: what answers.
      metrics: what counts.
      settings: the limits.
      token: that clients must show; None for none.
      hosts: names that the server may be called by, beside those that `Guard` knows.
    """
    app = FastAPI(
        title="mmgenre",
        version=mmgenre.__version__,
        description="Genres of movies from their posters and overviews.",
        docs_url=None,  # FastAPI's own pages load scripts from another host.
        redoc_url=None,
        openapi_url=SCHEMA,
        redirect_slashes=False,
    )
    routes = _Routes(service, metrics)
    app.post(PREDICT, **api_schema.PREDICT)(routes.predict)
    app.get(HEALTH, **api_schema.HEALTH)(routes.health)
    app.get(METRICS, **api_schema.METRICS)(routes.metrics)
    app.get(DOCS, include_in_schema=False)(routes.docs)

    async def say_mistake(request: Request, error: Exception) -> Response:
        assert isinstance(error, Mistake)
        return _said(error.status, error)

    async def say_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        method = (error.headers or {}).get("Allow", "another method")
        known = {404: f"there is no such address; see {DOCS}", 405: f"use {method}; see {DOCS}"}
        said = Exception(known.get(error.status_code, error.detail))
        return _said(error.status_code, said, error.headers)

    async def say_failure(request: Request, error: Exception) -> Response:
        return _said(500, Exception("the server failed; its log says how"))

    app.add_exception_handler(Mistake, say_mistake)
    app.add_exception_handler(Exception, say_failure)
    app.add_exception_handler(HTTPException, say_http)
    limits = Limits(
        body=settings.max_body_mib << 20,
        bodies=settings.queue,
        together=settings.max_bytes_together,
        answer_s=settings.timeout_s,
    )

    def refusal(error: Refused) -> ASGIApp:
        return _said(error.status, error, error.headers)

    guard = Guard(
        app,
        hosts=hosts,
        policy=_POLICY,
        limits=limits,
        admit=admission(token, _OPEN),
        refusal=refusal,
        keep_alive=True,
    )
    return metrics.watched(guard)
