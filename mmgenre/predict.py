"""Predicts the genres of one movie, or of a catalogue of movies.

python -m mmgenre.predict --run runs/model1 --poster p.jpg --overview "A boy finds ..."
python -m mmgenre.predict --run runs/model1 --csv movies.csv --posters folder --out out.csv
python -m mmgenre.predict --run runs/model1 --posters folder --out -
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mmgenre import schema
from mmgenre.catalogue.picture_folder import is_picture_folder
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text
from mmgenre.inputs.poster_places import DEFAULT_WIDTH, WIDTHS
from mmgenre.inputs.web_addresses import is_address
from mmgenre.machine import files, logs, signals
from mmgenre.machine.beam import RUNNERS
from mmgenre.machine.command_line import ArgumentParser, run_command

if TYPE_CHECKING:
    from mmgenre.prediction.predictor import Prediction

# Heavy imports (JAX) happen once the command line has been checked.

_BARS: Final = "█▒│"
"""Chosen, not chosen, and the threshold."""

_ASCII_BARS: Final = "#-|"

_MAX_INPUT: Final = 4 * overview_text.MAX_CHARACTERS
"""Bytes of an overview that may still be short enough: a character has at most four in UTF-8."""


def parse_arguments() -> argparse.Namespace:
    """Reads the command line; raises UserError where options do not fit together."""
    parser = ArgumentParser(
        module="mmgenre.predict",
        description=__doc__,
    )
    parser.add_argument("--run", required=True, help="run directory")
    one = parser.add_argument_group("one movie (either half may be missing)")
    one.add_argument("--poster", help="image file or URL of the poster")
    one.add_argument("--overview", help="text of the overview; - reads it from standard input")
    one.add_argument("--overview-file", type=Path, help="text file with the overview")
    one.add_argument("--json", action="store_true", help="print the answer as JSON")
    one.add_argument(
        "--explain",
        type=Path,
        metavar="HTML",
        help="HTML file to write an explanation of the answer to",
    )
    many = parser.add_argument_group("many movies")
    many.add_argument(
        "--csv",
        type=Path,
        metavar="CATALOGUE",
        help="catalogue of movies: a CSV, JSON lines, JSON or Parquet file, compressed or not, or "
        "a folder with one or with posters",
    )
    many.add_argument(
        "--columns",
        metavar="ROLE=NAME,...",
        help="names of columns that are not recognized, such as overview=plot,poster=Picture",
    )
    many.add_argument(
        "--posters",
        help="folder of posters, laid out like the image server or with files named by movie id, "
        "or the address of an image server, such as https://image.tmdb.org/t/p; without --csv, "
        "the posters to predict from",
    )
    many.add_argument(
        "--width",
        choices=WIDTHS,
        default=DEFAULT_WIDTH,
        help="poster width to request (default: %(default)s)",
    )
    many.add_argument(
        "--fetch-posters",
        choices=("public", "any"),
        nargs="?",
        const="public",
        help="download posters whose cells hold whole URLs: from public servers, or from any, "
        "including this machine and private networks (default: only with --posters ADDRESS)",
    )
    many.add_argument(
        "--only-missing", action="store_true", help="predict only movies without a genre"
    )
    many.add_argument(
        "--out",
        help="file to write predictions to, ending in .csv, .jsonl or .parquet; - prints JSON"
        " lines",
    )
    many.add_argument(
        "--runner",
        choices=RUNNERS,
        help="Apache Beam runner, to predict on many machines; further options go to its pipeline",
    )
    many.add_argument(
        "--excel", action="store_true", help="write a byte order mark into the CSV file, for Excel"
    )
    parser.add_argument(
        "--top",
        type=int,
        metavar="N",
        help="predict the N most probable genres, regardless of thresholds",
    )
    args, others = parser.parse_known_args()
    if others and args.runner is None:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    args.beam_options = others
    if args.top is not None and args.top < 1:
        raise UserError(f"--top is {args.top}; it must be at least 1")
    single = [args.poster, args.overview, args.overview_file, args.explain, args.json or None]
    for_many = [args.out, args.posters, args.fetch_posters, args.columns, args.runner]
    if args.csv is not None or (args.posters is not None and args.poster is None):
        if any(option is not None for option in single):
            raise UserError("--csv predicts a file of movies; leave the options for one movie out")
        _check_many(args)
    elif args.excel or args.only_missing or any(option is not None for option in for_many):
        raise UserError(
            "--out, --posters, --fetch-posters, --columns, --only-missing, --runner and --excel go "
            "with --csv; one movie has --poster and --overview"
        )
    elif args.poster is None and args.overview is None and args.overview_file is None:
        raise UserError("nothing to predict from; give --poster, --overview, or --csv")
    elif args.overview is not None and args.overview_file is not None:
        raise UserError("give --overview or --overview-file, not both")
    if args.explain is not None:
        check_new_file(args.explain)
    return args


def _check_many(args: argparse.Namespace) -> None:
    if args.csv is None:
        if is_address(args.posters):
            raise UserError("--posters is an address; give the catalogue of its movies with --csv")
        args.csv, args.posters = Path(args.posters), None
        if not is_picture_folder(args.csv):
            raise UserError(
                f"{args.csv} is no folder with posters alone; give a catalogue with --csv"
            )
    if args.out is None:
        raise UserError("no place for the predictions; add --out predictions.csv")
    if args.excel and not args.out.endswith(".csv"):
        raise UserError(f"--excel is for a CSV file, but --out is {args.out}")
    if args.out == "-" and args.runner is not None:
        raise UserError("--runner needs a file for the answers; add --out predictions.jsonl")


def check_new_file(path: Path) -> None:
    """Raises UserError where a file cannot be made: it exists, or there is no such folder."""
    files.require_new(path, "choose another name")
    files.require_folder(path)


def read_overview(args: argparse.Namespace) -> str | None:
    """Returns the overview of the command line, a file or standard input; None for none."""
    if args.overview_file is None and args.overview != "-":
        return args.overview
    source = "standard input" if args.overview_file is None else str(args.overview_file)
    try:
        if args.overview_file is None:
            data = sys.stdin.buffer.read(_MAX_INPUT + 1)
        else:
            with args.overview_file.open("rb") as file:
                data = file.read(_MAX_INPUT + 1)
        if len(data) > _MAX_INPUT:
            raise UserError(
                f"the overview in {source} is too long: more than {_MAX_INPUT:,} bytes, at most "
                f"{overview_text.MAX_CHARACTERS:,} characters are read"
            )
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read the overview from {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"the overview in {source} is no UTF-8 text") from error


def format_prediction(
    prediction: "Prediction", *, width: int = 80, encoding: str = "utf-8", top: int | None = None
) -> str:
    """Returns a prediction as a bar chart for a terminal.

    Args:
      prediction: to show.
      width: columns of the terminal.
      encoding: of its characters.
      top: number of most probable genres to show; None for all.
    """
    full, pale, line = _BARS if _can_show(_BARS, encoding) else _ASCII_BARS
    bar_width = max(10, min(40, width - 40))
    lines = [f"genres: {', '.join(prediction.genres) or 'none is sure enough'}"]
    if prediction.missing:
        lines.append(f"(from the {_other(prediction.missing)} alone: no {prediction.missing})")
    if prediction.num_unknown:
        lines.append(f"({prediction.num_unknown} of {prediction.num_words} words unknown)")
    if prediction.note:
        lines.append(f"(note: {prediction.note})")
    lines.append("")
    for genre in prediction.ranked[:top]:
        probability, threshold = prediction.probabilities[genre], prediction.thresholds[genre]
        chosen = probability >= threshold
        filled = round(probability * bar_width)
        cells = [full if chosen else pale] * filled + [" "] * (bar_width - filled)
        cells[min(round(threshold * bar_width), bar_width - 1)] = line
        mark = "*" if chosen else " "
        lines.append(
            f"{mark} {genre:<16}{probability:6.1%} {''.join(cells)} at least {threshold:.2f}"
        )
    return "\n".join(lines)


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (LookupError, UnicodeError):
        return False
    return True


def prediction_json(prediction: "Prediction") -> str:
    """Returns a prediction as JSON: genres, and probability and threshold of each genre."""
    return json.dumps(prediction.as_json(), indent=2, allow_nan=False)


def _other(half: str) -> str:
    return schema.OVERVIEW if half == schema.POSTER else schema.POSTER


def predict_many(args: argparse.Namespace) -> None:
    """Predicts a catalogue, here or on Beam, into a file or to standard output."""
    from mmgenre.prediction import table
    from mmgenre.prediction.table_request import TableRequest

    request = TableRequest(
        run=args.run,
        catalogue=args.csv,
        posters=args.posters,
        columns=args.columns,
        addresses=args.fetch_posters or "none",
        width=args.width,
        only_missing=args.only_missing,
        top=args.top,
    )
    if args.out == "-":
        table.print_table(request)
        return
    out = Path(args.out)
    if args.runner is not None:
        from mmgenre.prediction.beam_table import predict_on_beam

        signals.keep(f"the answers so far are kept in {out}.parts")
        predict_on_beam(request, out, args.runner, args.beam_options, for_excel=args.excel)
        return
    signals.keep(f"the answers so far are kept in {out}.partial")
    table.predict_table(request, out, for_excel=args.excel)


def main() -> None:
    """The command line."""
    args = parse_arguments()
    logs.quiet_libraries()
    if args.csv is not None:
        predict_many(args)
        return
    overview = read_overview(args)
    from mmgenre.prediction.predictor import GenrePredictor

    predictor = GenrePredictor.load(args.run)
    (found,) = predictor.predict(posters=[args.poster], overviews=[overview])
    prediction = found.with_top(args.top)
    if args.json:
        print(prediction_json(prediction))
    else:
        width = shutil.get_terminal_size().columns
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # Not every stream has one.
        print(format_prediction(prediction, width=width, encoding=encoding, top=args.top))
    if args.explain is not None:
        from mmgenre.prediction.explanation import write_explanation

        write_explanation(predictor, args.explain, poster=args.poster, overview=overview)
        print(f"explanation: {args.explain}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main, kept="no file is half written")
