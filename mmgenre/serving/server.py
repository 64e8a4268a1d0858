"""The server from start to end: it loads, compiles, answers, and finishes what it has begun."""

from collections.abc import Iterable
from typing import Final

from mmgenre.errors import Interrupted
from mmgenre.machine import environment, signals
from mmgenre.prediction import web_server
from mmgenre.serving.app import PATHS, build_app
from mmgenre.serving.metrics import Metrics
from mmgenre.serving.model import compile_all, open_model
from mmgenre.serving.service import Service
from mmgenre.serving.settings import Settings

_MAX_CONNECTIONS: Final = 512
_MAX_READERS: Final = 4
_DRAIN_S: Final = 5.0
"""Seconds that draining may take beyond the time of a request."""


def serve(
    run: str,
    host: str,
    port: int,
    *,
    settings: Settings,
    token: str | None = None,
    hosts: Iterable[str] = (),
) -> None:
    """Serves the answers of a run, or of a bundle, until a signal comes.

    The first SIGTERM or SIGINT ends it once all requests that have come in are answered, and no
    others are taken; the second one at once.

    Raises:
      UserError: the address cannot be listened on, or the run cannot be loaded.
      Interrupted: always, at the end.
    """
    with web_server.listen(host, port) as listener:
        model = open_model(run)
        compile_all(model)
        metrics = Metrics(PATHS)
        metrics.name_model(model.name, model.step)
        readers = min(_MAX_READERS, environment.num_cores() or 1)
        with (
            Service(model, settings, metrics, readers) as service,
            signals.graceful("answering what has come in"),
        ):
            app = build_app(service, metrics, settings, token=token, hosts=(host, *hosts))
            where = web_server.address(listener)
            needed = "; clients need the token" if token else ""
            print(f"serving {model.name} at {where}{needed}; Ctrl-C ends it", flush=True)
            web_server.run(
                app,
                listener,
                max_connections=_MAX_CONNECTIONS,
                drain_s=settings.timeout_s + _DRAIN_S,
                stop=signals.requested,
            )
            raise Interrupted(
                signals.requested(), f"all that had come in was answered; {signals.resume_hint()}"
            )
