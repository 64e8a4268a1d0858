"""Serves a page to try a run in a browser: a poster and an overview in, genres and reasons out.

python -m mmgenre.demo --run runs/model1

Needs the extra `demo`. Listens on this machine alone unless told otherwise.
"""

from mmgenre.errors import UserError
from mmgenre.machine import logs
from mmgenre.machine.command_line import ArgumentParser, run_command


def main() -> None:
    """The command line."""
    parser = ArgumentParser(
        module="mmgenre.demo",
        description=__doc__,
    )
    parser.add_argument("--run", required=True, help="run directory")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine alone)"
    )
    parser.add_argument(
        "--port", type=int, default=7860, help="port to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers may open the page by, beside localhost and --host; may be "
        "given several times",
    )
    args = parser.parse_args()
    logs.quiet_libraries()
    try:
        from mmgenre.prediction.web_page import serve  # After the options are read.
    except ModuleNotFoundError as error:
        if error.name not in ("multipart", "python_multipart", "starlette", "uvicorn"):
            raise
        raise UserError(
            f"the page needs {error.name}; install it with: pip install -e '.[demo]'"
        ) from error
    serve(args.run, args.host, args.port, args.allow_host)


if __name__ == "__main__":
    run_command(main)
