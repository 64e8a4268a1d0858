"""A page to try a run in a browser: a poster and an overview in, genres and reasons out.

Needs the extra `demo`. Listens on this machine alone unless told otherwise, and neither the server
nor the page asks any other host for anything.
"""

import contextlib
import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mmgenre.errors import UserError

MAX_UPLOAD: Final = 10 << 20
"""Bytes of the largest poster that is taken."""

_EXAMPLES: Final = 6
# What the page may load: itself. Gradio's own scripts are inline and evaluate code.
_POLICY: Final = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; "
    "connect-src 'self' ws: wss: data: blob:"
)


def build_app(run: str) -> Any:
    """Returns the page of a run as an ASGI application.

    Raises:
      UserError: the extra is not installed, or the run cannot be loaded.
    """
    # Read when Gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import fastapi
        import gradio
    except ImportError as error:
        raise UserError(
            "the page needs Gradio; install it with: pip install 'mmgenre[demo]'"
        ) from error
    blocks = _build_blocks(gradio, run)
    app = fastapi.FastAPI(openapi_url=None)

    @app.middleware("http")
    async def keep_to_this_host(request: fastapi.Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    system = ["system-ui", "sans-serif"]  # Not the default fonts, which come from the web.
    theme = gradio.themes.Default(font=system, font_mono=["ui-monospace", "monospace"])
    return gradio.mount_gradio_app(
        app,
        blocks,
        path="",
        max_file_size=MAX_UPLOAD,
        theme=theme,
        footer_links=[],
        show_error=True,
    )


def _build_blocks(gradio: Any, run: str) -> Any:
    from mmgenre import schema
    from mmgenre.prediction.predictor import GenrePredictor

    predictor = GenrePredictor.load(run)

    def answer(poster: str | None, overview: str) -> Iterator[str]:
        yield from answer_pages(predictor, poster, overview)

    with gradio.Blocks(title="mmgenre", analytics_enabled=False) as blocks:
        gradio.Markdown(
            f"# Which genres?\nGive a movie's poster, its overview, or both; the run "
            f"*{predictor.name}* names those of {schema.NUM_GENRES} genres that it has."
        )
        with gradio.Row():
            with gradio.Column(scale=2, min_width=280):
                poster = gradio.Image(
                    label="Poster",
                    type="filepath",
                    sources=["upload", "clipboard"],
                    height=320,
                    elem_id="poster",
                )
                # Gradio would decode the picture itself, with other limits and other errors.
                poster.preprocess = lambda payload: payload.path if payload else None
                overview = gradio.Textbox(
                    label="Overview", lines=6, max_lines=14, placeholder="A boy finds a map ..."
                )
                button = gradio.Button("Which genres?", variant="primary", elem_id="predict")
            with gradio.Column(scale=5, min_width=320):
                result = gradio.HTML("", elem_id="result")
        gradio.Examples(_examples(), inputs=[poster, overview], cache_examples=False)
        for trigger in (button.click, overview.submit):
            trigger(answer, [poster, overview], result, show_progress="minimal", api_name=False)
    return blocks


def answer_pages(predictor: Any, poster: str | None, overview: str) -> Iterator[str]:
    """Yields what the page shows: first the genres, then the reasons as well.

    A mistake is shown as a sentence.
    """
    from mmgenre.html import pages
    from mmgenre.inputs.poster_decoder import PosterError, decode_poster
    from mmgenre.inputs.poster_source import read_poster
    from mmgenre.prediction import explanation as explain

    try:
        pixels = None
        if poster is not None:
            try:
                pixels = decode_poster(read_poster(poster))
            except PosterError as error:
                raise UserError(f"The poster cannot be used: {error}.") from error
        if pixels is None and not (overview or "").strip():
            raise UserError("Give a poster, an overview, or both.")
        prediction = predictor.predict(posters=[pixels], overviews=[overview])[0]
        view = explain.page_values(predictor, prediction, pixels)
        yield pages.render("demo_result.html.j2", **view, genres=[])
        explanation = explain.explain(predictor, pixels, overview)
        values = explain.explanation_values(predictor, explanation)
        yield pages.render("demo_result.html.j2", **values)
    except UserError as error:
        message = str(error)
        yield pages.render("demo_error.html.j2", message=message[:1].upper() + message[1:])


def _examples() -> list[list[Any]]:
    """Writes a few movies of the demo corpus and returns [poster or None, overview] of each."""
    import csv

    from data_prep.demo.corpus import METADATA_FILE, POSTERS_FOLDER, write_demo_corpus

    folder = Path(tempfile.mkdtemp(prefix="mmgenre-demo-")) / "corpus"
    write_demo_corpus(folder, num_movies=3 * _EXAMPLES, seed=2)
    examples: list[list[Any]] = []
    with (folder / METADATA_FILE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            poster = folder / POSTERS_FOLDER / (row["poster_path"] or "").lstrip("/")
            if poster.is_file() and len(row["overview"] or "") > 40:
                examples.append([str(poster), row["overview"]])
    return examples[:_EXAMPLES]


def serve(run: str, host: str, port: int) -> None:
    """Serves the page of a run until it is interrupted.

    Raises:
      UserError: the address cannot be listened on, the extra is not installed, or no such run.
    """
    listener = _listen(host, port)
    app = build_app(run)
    import uvicorn

    host, port = listener.getsockname()[:2]
    print(f"open http://{host}:{port} in a browser; Ctrl-C ends it", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = "something listens there already; choose another --port"
        raise UserError(f"cannot listen on {host}:{port}: {reason}") from error
