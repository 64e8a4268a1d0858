"""Shows how a catalogue will be read, before anything is prepared: in seconds, from its first rows.

python -m data_prep.inspect movies.csv --posters https://image.tmdb.org/t/p
"""

import argparse
import concurrent.futures
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from data_prep.metadata.preview import Preview, preview, usual_requirement
from data_prep.options import DEFAULT_MIN_GENRE_MOVIES, REQUIREMENTS
from data_prep.workspace.movie_file import Movie
from mmgenre.catalogue.columns import POSTER, parse_columns
from mmgenre.catalogue.movie_folder import is_movie_folder, movies_in
from mmgenre.errors import UserError
from mmgenre.inputs import poster_places, web_addresses
from mmgenre.inputs.poster_folder import PosterFolder
from mmgenre.machine.command_line import ArgumentParser, run_command

ROWS: Final = 10_000
_SHOWN: Final = 3
_LOOKED_FOR: Final = 300  # Posters in a folder,
_ASKED_FOR: Final = 8  # or of a server.
_OVERVIEW: Final = 160


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = ArgumentParser(
        module="data_prep.inspect",
        description=__doc__,
    )
    add = parser.add_argument
    add("metadata", metavar="FILE", help="catalogue of movies, as --metadata of prepare")
    add("--posters", help="folder or image server to look for some posters in")
    add("--columns", metavar="ROLE=NAME,...", help="names of columns that are not recognized")
    add("--genres", metavar="auto|FILE", help="list of genres; auto reads the whole file")
    add(
        "--min-genre-movies",
        type=int,
        default=DEFAULT_MIN_GENRE_MOVIES,
        metavar="N",
        help="movies that a genre needs with --genres auto",
    )
    add("--require", choices=REQUIREMENTS, help="which half a movie needs to be kept")
    add("--rows", type=int, default=ROWS, metavar="N", help=f"rows to read (default: {ROWS:,})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    args = parse_args(arguments)
    if args.rows < 1 or args.min_genre_movies < 1:
        raise UserError("--rows and --min-genre-movies must be at least 1")
    if not Path(args.metadata).exists():
        raise UserError(f"there is no file {args.metadata}")
    seen = preview(
        args.metadata,
        parse_columns(args.columns),
        args.genres,
        args.min_genre_movies,
        args.require,
        args.rows,
    )
    _print_form(args, seen)
    if seen.problem:
        sys.stdout.flush()
        raise UserError(seen.problem)
    _print_movies(seen)
    _print_genres(seen)
    _print_dropped(args, seen)
    _print_posters(args, seen)
    _print_command(args, seen)


def _print_form(args: argparse.Namespace, seen: Preview) -> None:
    print(f"{args.metadata}: {seen.form}")
    for note in seen.notes:
        print(f"note: {note}")
    print("\nColumns")
    for role, name in seen.columns.of_role.items():
        print(f"  {role:<15}{name}")
    if seen.columns.unused:
        unused = ", ".join(seen.columns.unused[:30])
        more = len(seen.columns.unused) - 30
        print(f"  {'not used':<15}{unused}" + (f" and {more} more" if more > 0 else ""))


def _print_movies(seen: Preview) -> None:
    print("\nMovies, as they will be read" if seen.movies else "\nNo movie can be read")
    for movie in seen.movies[:_SHOWN]:
        print(f"  {movie.id}: {movie.title or '(no title)'}")
        print(f"    genres    {', '.join(seen.genres.names[g] for g in movie.labels)}")
        cut = "..." if len(movie.overview) > _OVERVIEW else ""
        overview = " ".join(movie.overview[:_OVERVIEW].split())
        print(f"    overview  {overview + cut or '(none)'}")
        print(f"    poster    {movie.poster_path or '(none)'}")
        if movie.split:
            print(f"    split     {movie.split}")


def _print_genres(seen: Preview) -> None:
    print(f"\nGenres of {len(seen.movies):,} movies, {len(seen.genres.names)} on the list")
    counted = zip(seen.genre_counts, seen.genres.names, strict=True)
    for count, name in sorted(counted, key=lambda item: (-item[0], item[1]))[:40]:
        print(f"  {name:<20}{count:>8,}")
    unlisted = sorted(seen.reader.unlisted.items(), key=lambda item: -item[1])
    if unlisted:
        named = ", ".join(f"{name} ({count:,})" for name, count in unlisted[:20])
        more = f" and {len(unlisted) - 20} more" if len(unlisted) > 20 else ""
        print(f"  not on the list: {named}{more}")


def _print_dropped(args: argparse.Namespace, seen: Preview) -> None:
    reader = seen.reader
    rows = "all" if seen.is_all else "the first"
    print(f"\nOf {rows} {reader.rows:,} rows {len(seen.movies):,} are kept")
    for line in reader.dropped_lines():
        print(f"  dropped: {line}")
    same = len(seen.movies) - len({movie.id for movie in seen.movies})
    if same:
        print(f"  dropped later: rows of the same id, merged with the fuller one: {same:,}")
    for note, count in reader.notes.items():
        print(f"  note: {note}: {count:,}")


def _print_posters(args: argparse.Namespace, seen: Preview) -> None:
    named = [movie for movie in seen.movies if movie.poster_path]
    print(f"\nPosters: {len(named):,} of {len(seen.movies):,} movies name one")
    posters = args.posters
    if posters is None and is_movie_folder(args.metadata):
        posters = str(movies_in(args.metadata))
    if posters is None:
        if named:
            print("  none is looked for without --posters")
        return
    asked = named or seen.movies
    if web_addresses.is_address(posters):
        found = _ask(posters, named[:_ASKED_FOR])
        there = sum(not problem for problem in found)
        print(f"  {there} of {len(found)} that were asked for are at {posters}")
        for problem in dict.fromkeys(filter(None, found)):
            print(f"  {problem}")
        return
    folder = PosterFolder(posters, poster_places.DEFAULT_WIDTH)
    asked = asked[:_LOOKED_FOR]
    ids = [(str(movie.id), movie.imdb_id) for movie in asked]
    paths = [folder.find(m.poster_path, own) for m, own in zip(asked, ids, strict=True)]
    there = sum(path is not None for path in paths)
    print(f"  {there:,} of {len(asked):,} that were looked for are in {posters}")
    for movie, own, path in zip(asked, ids, paths, strict=True):
        if path is None:
            places = folder.candidates(movie.poster_path, own)
            print(f"  not there: {places[0] if places else movie.poster_path}, say")
            return


def _ask(posters: str, movies: Sequence[Movie]) -> list[str]:
    """Asks a server for posters; returns, for each, why it is not available, or ""."""
    from mmgenre.inputs.poster_source import fetch_poster

    base, width = poster_places.split_base(posters)
    try:
        reach = web_addresses.Reach.beyond(*web_addresses.kinds_of(web_addresses.parse(base)))
    except ValueError as error:
        raise UserError(f"--posters is {posters}, which is no address: {error}") from None

    def ask(movie: Movie) -> str:
        path = poster_places.server_path(movie.poster_path)
        address = f"{base}/{width or poster_places.DEFAULT_WIDTH}{path}"
        try:
            if path:
                fetch_poster(address, web_addresses.ANYWHERE)
            else:
                fetch_poster(movie.poster_path, reach)
        except UserError as error:
            return str(error)
        return ""

    with concurrent.futures.ThreadPoolExecutor(_ASKED_FOR) as pool:
        return list(pool.map(ask, movies))


def _print_command(args: argparse.Namespace, seen: Preview) -> None:
    command = ["mmgenre", "prepare", "--metadata", args.metadata]
    for name in ("columns", "genres", "posters"):
        if getattr(args, name) is not None:
            command += [f"--{name}", getattr(args, name)]
    if args.genres == "auto":
        command += ["--min-genre-movies", str(args.min_genre_movies)]
    require = args.require or usual_requirement(seen.columns)
    if require != "overview":
        command += ["--require", require]
    command += ["--out", _free_folder(args.metadata)]
    if not seen.movies:
        print("\nNothing is left to prepare: see why rows are dropped", end="")
        print("; --genres auto takes the catalogue's own genres" if seen.reader.unlisted else "")
        return
    if (
        args.posters is None
        and POSTER in seen.columns.of_role
        and not is_movie_folder(args.metadata)
    ):
        print("\nPrepare it so, with --posters FOLDER or --posters ADDRESS for its posters:")
    else:
        print("\nPrepare it so:")
    print(f"  {shlex.join(command)}")


def _free_folder(metadata: str) -> str:
    stem = Path(metadata).name.partition(".")[0] or "movies"
    names = (f"data/{stem}" + (f"-{n}" if n > 1 else "") for n in range(1, 1_000_000))
    return next(name for name in names if not Path(name).exists())


if __name__ == "__main__":
    run_command(main)
