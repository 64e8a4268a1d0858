"""Options of preparation: the config, and the command line that makes one."""

import dataclasses
from typing import Any, Final

from etils import epath

from mmgenre import schema
from mmgenre.encoders.specs import check_spec
from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses
from mmgenre.inputs.poster_places import DEFAULT_WIDTH, WIDTHS, split_base
from mmgenre.machine.beam import RUNNERS
from mmgenre.machine.command_line import ArgumentParser

REQUIREMENTS: Final = ("overview", "poster", "both", "any")
DEFAULT_VOCABULARY_SIZE: Final = 20_000
DEFAULT_MIN_GENRE_MOVIES: Final = 50


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, and how.

    Attributes:
      metadata: a catalogue of movies: CSV, JSON lines, a JSON array or Parquet, the gzip or zip of
        one, or a folder; such as `movies_metadata.csv`.
      posters: a folder laid out like the image server, or with files named by id, or the server's
        address; None prepares without posters, or with those beside the movies of a folder.
      out: folder of the data set.
      name: of the data set, in logs and reports; None takes the out folder's.
      require: what a movie must have to be kept: "overview", "poster", "both", or "any" of the two.
      columns: which column holds what, such as "overview=plot,genres=Genre"; None finds the usual
        names.
      genres: the list of genres: None for the specification's 18, "auto" for every name that at
        least `min_genre_movies` movies of the catalogue have, or a file with a name a line.
      min_genre_movies: see `genres`.
      label_corrections: a table that `mmgenre review` has written; the rows whose column `accept`
        says yes are applied to the catalogue's labels.
      fetch_posters: where a cell names a poster by a whole address of its own, fetch it from
        "public" servers, or from "any", this machine and private networks included. None fetches
        such addresses only where `posters` is an address, too: from public servers, and from ones
        of the kind that `posters` is.
      width: of the posters.
      fallback_widths: to try where a poster is not available at `width`; None tries all others.
      seed: of the split.
      keep_franchises: whether movies whose titles have the same stem stay in one split.
      all_to: a split that gets every movie; None splits.
      text_encoder: SPEC of a frozen encoder of overviews; see `mmgenre.encoders.load`.
      poster_encoder: the same, of posters.
      tokenizer: an existing tokenizer's file; None trains one on the train split.
      vocabulary_size: of the tokenizer that is trained.
      max_tokens: where token sequences are cut.
      num_shards: of each split; None decides by size.
      processes: that decode and write; None takes all cores.
      work: folder of the stages' results; None is `.work` in the out folder.
      concurrency, rate, tries, timeout, backoff: see `http_client.FetchConfig`.
      ask_again: whether to ask again for posters that were missing or corrupt.
      runner: of Apache Beam; None works on this machine without Beam.
      beam_options: command-line options for Beam's pipelines.
      progress: "auto", "lines" or "none".
    """

    metadata: epath.PathLike
    posters: epath.PathLike | None
    out: epath.PathLike
    name: str | None = None
    require: str = "overview"
    columns: str | None = None
    genres: epath.PathLike | None = None
    min_genre_movies: int = DEFAULT_MIN_GENRE_MOVIES
    label_corrections: epath.PathLike | None = None
    fetch_posters: str | None = None
    width: str = DEFAULT_WIDTH
    fallback_widths: tuple[str, ...] | None = None
    seed: int = 0
    keep_franchises: bool = False
    all_to: str | None = None
    text_encoder: str | None = None
    poster_encoder: str | None = None
    tokenizer: epath.PathLike | None = None
    vocabulary_size: int = DEFAULT_VOCABULARY_SIZE
    max_tokens: int = 512
    num_shards: int | None = None
    processes: int | None = None
    work: epath.PathLike | None = None
    concurrency: int = 32
    rate: float | None = None
    tries: int = 6
    timeout: float = 20.0
    backoff: float = 0.5
    ask_again: bool = False
    runner: str | None = None
    beam_options: tuple[str, ...] = ()
    progress: str = "auto"


def encoder_specs(config: PrepareConfig) -> dict[str, str]:
    """Returns the SPECs of the encoders that are asked for, by the feature that each makes."""
    specs = {
        schema.POSTER_VECTOR: config.poster_encoder,
        schema.OVERVIEW_VECTOR: config.text_encoder,
    }
    return {feature: spec for feature, spec in specs.items() if spec is not None}


def check(config: PrepareConfig) -> None:
    """Raises UserError where options do not fit together or are out of range."""
    if config.all_to in (schema.TEST, schema.VALIDATION) and config.tokenizer is None:
        raise UserError(
            f"--all-to {config.all_to} needs --tokenizer: a vocabulary must not be built from "
            "held-out movies; give the tokenizer.json of the data set the model was trained on"
        )
    for feature, spec in encoder_specs(config).items():
        check_spec(spec, feature)
    if web_addresses.is_address(str(config.posters)):
        try:
            web_addresses.parse(str(config.posters))
        except ValueError as error:
            raise UserError(
                f"--posters is {config.posters}, which is no address: {error}"
            ) from None
        width = split_base(str(config.posters))[1]
        if width and config.width not in (width, DEFAULT_WIDTH):
            raise UserError(
                f"--posters {config.posters} has the width {width}, but --width is {config.width}; "
                "leave one of them out"
            )
    elif config.posters is not None and config.fetch_posters is not None:
        raise UserError(
            "--fetch-posters takes posters from their addresses, but --posters is a folder; leave "
            "one of them out"
        )
    for name, choices in (
        ("require", REQUIREMENTS),
        ("width", WIDTHS),
        ("fetch_posters", (None, "public", "any")),
        ("all_to", (None, *schema.SPLITS)),
        ("runner", (None, *RUNNERS)),
        ("progress", ("auto", "lines", "none")),
    ):
        if getattr(config, name) not in choices:
            raise UserError(
                f"{_flag(name)} is {getattr(config, name)!r}; choose from "
                f"{', '.join(str(choice) for choice in choices if choice)}"
            )
    for width in config.fallback_widths or ():
        if width not in WIDTHS:
            raise UserError(f"--fallback-widths names {width!r}; choose from {', '.join(WIDTHS)}")
    for name, least in (
        ("vocabulary_size", 2),
        ("max_tokens", 1),
        ("num_shards", 1),
        ("processes", 1),
        ("concurrency", 1),
        ("tries", 1),
        ("seed", 0),
        ("min_genre_movies", 1),
    ):
        value = getattr(config, name)
        if value is not None and value < least:
            raise UserError(f"{_flag(name)} is {value}; it must be at least {least}")
    for name in ("rate", "timeout"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise UserError(f"{_flag(name)} is {value}; it must be above 0")
    if config.backoff < 0:
        raise UserError(f"--backoff is {config.backoff}; it must not be below 0")
    if config.num_shards is not None and config.num_shards > 99_999:
        raise UserError("--num-shards is at most 99,999: shard names have five digits")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse_args(arguments: list[str] | None = None) -> PrepareConfig:
    """Reads the command line; options that are not ours go to Beam, if it is asked for."""
    parser = _parser()
    namespace, others = parser.parse_known_args(arguments)
    if others and namespace.runner is None:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    values: dict[str, Any] = vars(namespace)
    values["beam_options"] = tuple(others)
    if values["fallback_widths"] is not None:
        widths = values["fallback_widths"].replace(",", " ").split()
        values["fallback_widths"] = () if widths == ["none"] else tuple(widths)
    return PrepareConfig(**values)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        module="data_prep.prepare",
        allow_abbrev=False,
        description="Prepares a data set from a catalogue of movies and their posters.\n"
        "Resumes if interrupted: run the same command again.",
        epilog="With --runner, further options are passed to Apache Beam's pipelines.",
    )
    _add_data_options(parser)
    _add_poster_options(parser)
    _add_machine_options(parser)
    return parser


def _add_data_options(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("movies").add_argument
    add(
        "--metadata",
        required=True,
        help="catalogue of movies: a CSV, JSON lines, JSON or Parquet file, compressed or not, or "
        "a folder with one",
    )
    add(
        "--columns",
        metavar="ROLE=NAME,...",
        help="names of columns that are not recognized, such as overview=plot,genres=Genre",
    )
    add(
        "--genres",
        metavar="auto|FILE",
        help="list of genres to learn: auto for every genre of at least --min-genre-movies movies, "
        "or a file with a name per line and aliases behind '=' (default: the 18 of The Movies "
        "Dataset)",
    )
    add(
        "--min-genre-movies",
        type=int,
        default=DEFAULT_MIN_GENRE_MOVIES,
        metavar="N",
        help="movies that a genre needs with --genres auto (default: %(default)s)",
    )
    add(
        "--label-corrections",
        metavar="FILE",
        help="table of mmgenre review, with yes in the column accept of the labels to correct",
    )
    add(
        "--require",
        choices=REQUIREMENTS,
        default="overview",
        help="which half a movie needs to be kept (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="random seed of the split (default: %(default)s)")
    add(
        "--keep-franchises",
        action="store_true",
        help='keep movies whose titles have the same stem, such as "Rocky" and "Rocky II", in the '
        "same split",
    )
    add("--all-to", choices=schema.SPLITS, help="put every movie into this split")
    add(
        "--text-encoder",
        metavar="SPEC",
        help="frozen encoder of overviews, whose vectors go into the records: "
        "sentence-transformers:<name or folder> or <module>:<factory> (extra [encoders])",
    )
    add(
        "--poster-encoder",
        metavar="SPEC",
        help="frozen encoder of posters: timm:<name>, timm:<name>@<weights file>, "
        "<module>:<factory>, or a CLIP-like model of sentence-transformers",
    )
    add(
        "--tokenizer",
        metavar="FILE",
        help="tokenizer.json of another data set or run, to use instead of training a tokenizer",
    )
    add(
        "--vocabulary-size",
        type=int,
        default=DEFAULT_VOCABULARY_SIZE,
        metavar="N",
        help="maximum number of words in the vocabulary (default: %(default)s)",
    )
    add(
        "--max-tokens",
        type=int,
        default=512,
        metavar="N",
        help="tokens of an overview to store (default: %(default)s)",
    )
    add = parser.add_argument_group("data set").add_argument
    add("--out", required=True, help="folder to write the data set to")
    add("--name", help="name of the data set (default: the name of the --out folder)")
    add(
        "--num-shards",
        type=int,
        metavar="N",
        help="number of shards in each split (default: by size)",
    )


def _add_poster_options(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("posters").add_argument
    add(
        "--posters",
        help="folder of posters, laid out like the image server or with files named by movie id, "
        "or the address of an image server, such as https://image.tmdb.org/t/p (default: no "
        "posters)",
    )
    add(
        "--fetch-posters",
        choices=("public", "any"),
        nargs="?",
        const="public",
        help="download posters whose cells hold whole URLs: from public servers, or from any, "
        "including this machine and private networks (default: only with --posters ADDRESS)",
    )
    add(
        "--width",
        choices=WIDTHS,
        default=DEFAULT_WIDTH,
        help="poster width to request (default: %(default)s)",
    )
    add(
        "--fallback-widths",
        metavar="W,W",
        help="widths to try where a poster is missing at --width, or none (default: all others)",
    )
    add(
        "--concurrency",
        type=int,
        default=32,
        metavar="N",
        help="maximum number of simultaneous requests (default: %(default)s)",
    )
    add(
        "--rate",
        type=float,
        metavar="R",
        help="maximum number of requests per second (default: no limit)",
    )
    add(
        "--tries",
        type=int,
        default=6,
        metavar="N",
        help="attempts for each poster (default: %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds until a request counts as failed (default: %(default)g)",
    )
    add(
        "--backoff",
        type=float,
        default=0.5,
        metavar="S",
        help="seconds to wait before the first retry; doubles each time (default: %(default)g)",
    )
    add(
        "--ask-again",
        action="store_true",
        help="request posters again that were missing or corrupt in an earlier run",
    )


def _add_machine_options(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("resources").add_argument
    add(
        "--processes",
        type=int,
        metavar="N",
        help="number of processes that decode and write (default: one per core)",
    )
    add(
        "--work",
        metavar="DIR",
        help="folder for intermediate results (default: .work in the --out folder)",
    )
    add(
        "--runner",
        choices=RUNNERS,
        help="Apache Beam runner, to prepare on many machines",
    )
    add(
        "--progress",
        choices=("auto", "lines", "none"),
        default="auto",
        help="progress display: bars on a terminal and lines elsewhere, always lines, or none "
        "(default: %(default)s)",
    )
