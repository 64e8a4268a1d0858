"""Serves a run's predictions over HTTP, to programs: forms and JSON in, JSON out.

python -m mmgenre.serve --run runs/model2 --port 8000
curl -F poster=@poster.jpg -F overview="A boy finds a map." http://127.0.0.1:8000/v1/predict

Needs the extra `serve`. Listens on this machine alone unless told otherwise. docs/serving.md has
more.
"""

import argparse
from pathlib import Path

from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command

_PACKAGES = (
    "fastapi", "multipart", "prometheus_client", "pydantic", "python_multipart", "starlette",
    "uvicorn",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = ArgumentParser(
        module="mmgenre.serve",
        description=__doc__,
    )
    add = parser.add_argument
    add("--run", required=True, help="folder of a run, or of a bundle that mmgenre.export made")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    add("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that clients may call the server by, beside localhost, --host and the address "
        "they reach it at; may be given several times",
    )
    add(
        "--token-file",
        "--token_file",
        type=Path,
        metavar="FILE",
        help="file with the token that clients must send (default: the one in the environment "
        "variable MMGENRE_TOKEN, or none)",
    )
    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    add(
        "--batch-ms",
        type=float,
        default=5.0,
        metavar="MS",
        help="milliseconds that a movie waits for others to be answered with (default: 5)",
    )
    add(
        "--queue",
        type=int,
        default=128,
        metavar="N",
        help="requests that are received and answered at once; others get 503 (default: 128)",
    )
    add(
        "--timeout-s",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds that an answer may take; then it is 504 (default: 30)",
    )
    add(
        "--max-movies",
        type=int,
        default=64,
        metavar="N",
        help="movies of a request (default: 64, the most)",
    )
    add("--max-body-mib", type=int, default=16, metavar="N", help="MiB of a request (default: 16)")
    add(
        "--max-poster-mib",
        type=int,
        default=10,
        metavar="N",
        help="MiB of a poster's file (default: 10)",
    )
    add(
        "--max-pixels",
        type=int,
        default=64_000_000,
        metavar="N",
        help="pixels of a request's posters, together (default: 64 million, the most)",
    )
    add("--max-characters", type=int, default=20_000, metavar="N",
        help="characters of an overview (default: 20,000)")  # fmt: skip
    return parser


def main() -> None:
    """The command line."""
    args = build_parser().parse_args()
    logs.quiet_libraries()
    try:
        from mmgenre.serving.access_token import read_token  # After the options are read.
        from mmgenre.serving.server import serve
        from mmgenre.serving.settings import Settings
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise UserError(
            f"the server needs {error.name}; install it with: pip install -e '.[serve]'"
        ) from error
    settings = Settings(
        batch_ms=args.batch_ms,
        queue=args.queue,
        timeout_s=args.timeout_s,
        max_movies=args.max_movies,
        max_body_mib=args.max_body_mib,
        max_poster_mib=args.max_poster_mib,
        max_pixels=args.max_pixels,
        max_characters=args.max_characters,
    )
    serve(
        args.run,
        args.host,
        args.port,
        settings=settings,
        token=read_token(args.token_file),
        hosts=args.allow_host,
    )


if __name__ == "__main__":
    run_command(main)
