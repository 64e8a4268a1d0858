"""Writes the demo corpus: generated movies in the two forms that real data comes in.

    python -m data_prep.demo_corpus --out demo

    demo/movies_metadata.csv    Kaggle's 24 columns, with a little of its dirt
    demo/posters/<poster_path>  JPEG files, 154 pixels wide
    demo/planted.jsonl          for each movie, where its overview and poster show which genre

The signals are planted so that only both halves together tell the most (see `demo_signals`). Text
and pictures are made here from nothing, so that they may be shown and shared.
"""

import csv
import json
import os
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from data_prep.demo import rows as demo_rows
from data_prep.demo.posters import PlantedRegion, encode_jpeg, paint_poster
from data_prep.demo.signals import Plan, plan_movie
from data_prep.demo.text import PlantedWord, make_title, write_overview
from data_prep.demo.words import OTHER_SCRIPTS
from mmgenre.errors import UserError
from mmgenre.machine import files

METADATA_FILE: Final = "movies_metadata.csv"
POSTERS_FOLDER: Final = "posters"
PLANTED_FILE: Final = "planted.jsonl"
NUM_MOVIES: Final = 2400

_NO_POSTER: Final = 0.13
_NO_OVERVIEW: Final = 0.02
_NO_GENRE: Final = 0.03
_DROPPED_GENRES: Final = (("TV Movie", 0.015), ("Foreign", 0.03))
_FOREIGN_SCRIPT: Final = 0.02
_SEVERAL_LINES: Final = 0.02
# Rare dirt comes at fixed places, so that a corpus of a hundred movies has it too.
_COMPANY_GENRES: Final = (30, 800)  # At row 30 of every 800.
_SPLIT_ROW: Final = (60, 800)
_DUPLICATE: Final = (80, 400)


@dataclass(frozen=True)
class PlantedMovie:
    """Where one movie shows its genres.

    A cue may mislead, or be half of a cue: whether the movie has the genre is for `genres` to say.

    Attributes:
      id: as in the metadata.
      genres: as in the metadata, those of `schema.GENRES` alone.
      words: cue words of the overview, as the metadata has it, in order; empty without an overview.
      regions: cue shapes on the poster; empty without a poster.
    """

    id: str
    genres: tuple[str, ...]
    words: tuple[PlantedWord, ...]
    regions: tuple[PlantedRegion, ...]


@dataclass(frozen=True)
class _Scene:
    """What movies that share a poster have in common."""

    plan: Plan
    title: str
    poster_path: str
    regions: tuple[PlantedRegion, ...]
    jpeg: bytes | None


def write_demo_corpus(
    folder: str | os.PathLike[str],
    *,
    num_movies: int = NUM_MOVIES,
    seed: int = 0,
    poster_pool: int | None = None,
) -> None:
    """Writes the demo corpus; the same arguments write the same bytes. Memory does not grow.

    Args:
      folder: where to; must not exist, or be empty. It appears when it is complete.
      num_movies: movies, at least 1; a few rows more than that.
      seed: of everything that is drawn.
      poster_pool: draw this many posters and share them among all movies, for speed in benchmarks:
        movies that share a poster share its genres, so such a corpus is no test of learning. 0 is
        no posters at all; None gives each movie its own.

    Raises:
      UserError: an argument is out of range, `folder` is in the way, or it cannot be written.
    """
    folder = Path(folder)
    if num_movies < 1:
        raise UserError(f"A demo corpus needs at least 1 movie, not {num_movies}.")
    if poster_pool is not None and poster_pool < 0:
        raise UserError(f"A pool of {poster_pool} posters can't be: give 0 for no posters.")
    try:
        if not folder.is_dir() or any(folder.iterdir()):
            files.require_new(folder, "write the demo corpus elsewhere")
        with files.atomic_folder(folder) as staged:
            (staged / POSTERS_FOLDER).mkdir()
            _write_files(Path(staged), num_movies, seed, poster_pool)
    except OSError as error:
        raise UserError(f"Can't write the demo corpus to {folder}: {error.strerror}.") from error


def generate(num_movies: int, seed: int = 0) -> Iterator[tuple[dict[str, str], bytes | None]]:
    """Yields each movie's (first) row of the metadata and its poster, a JPEG file, or None."""
    for index in range(num_movies):
        scene = _make_scene(index, seed, with_poster=True)
        rows, _ = _make_movie(index, seed, scene)
        yield dict(zip(demo_rows.COLUMNS, rows[0], strict=False)), scene.jpeg


def read_planted(folder: str | os.PathLike[str]) -> Iterator[PlantedMovie]:
    """Reads where each movie of the demo corpus in `folder` shows its genres.

    Raises:
      UserError: `folder` is not a demo corpus.
    """
    path = Path(folder) / PLANTED_FILE
    if not path.is_file():
        raise UserError(f"{folder} is not a demo corpus: {PLANTED_FILE} is not there.")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            movie = json.loads(line)
            yield PlantedMovie(
                movie["id"],
                tuple(movie["genres"]),
                tuple(PlantedWord(**word) for word in movie["words"]),
                tuple(
                    PlantedRegion(region["genre"], tuple(region["box"]))
                    for region in movie["regions"]
                ),
            )


def _write_files(folder: Path, num_movies: int, seed: int, poster_pool: int | None) -> None:
    with (
        (folder / METADATA_FILE).open("w", encoding="utf-8", newline="") as metadata,
        (folder / PLANTED_FILE).open("w", encoding="utf-8", newline="") as planted,
    ):
        writer = csv.writer(metadata, lineterminator="\n")
        writer.writerow(demo_rows.COLUMNS)
        shared: list[_Scene] = []  # Without the pictures: memory does not grow.
        for index in range(num_movies):
            if poster_pool and index >= poster_pool:
                scene = shared[index % poster_pool]
            else:
                scene = _make_scene(index, seed, with_poster=poster_pool != 0)
                if scene.jpeg is not None:
                    path = folder / POSTERS_FOLDER / scene.poster_path[1:]
                    path.write_bytes(scene.jpeg)
                if poster_pool:
                    shared.append(replace(scene, jpeg=None))
            rows, movie = _make_movie(index, seed, scene)
            writer.writerows(rows)
            planted.write(json.dumps(asdict(movie), ensure_ascii=False, allow_nan=False) + "\n")


def _make_scene(index: int, seed: int, *, with_poster: bool) -> _Scene:
    rng = random.Random(f"mmgenre demo scene {seed} {index}")
    plan = plan_movie(rng)
    title = make_title(rng)
    poster_path = "/" + "".join(rng.choices(_BASE62, k=27)) + ".jpg"
    if with_poster and rng.random() >= _NO_POSTER:
        poster, regions = paint_poster(plan, title, rng)
        return _Scene(plan, title, poster_path, regions, encode_jpeg(poster))
    # No poster at all, or one that can no longer be had.
    return _Scene(plan, title, rng.choice(("", poster_path)), (), None)


def _make_movie(index: int, seed: int, scene: _Scene) -> tuple[list[list[str]], PlantedMovie]:
    """Makes a movie's rows from a random stream of its own, whatever the number of movies."""
    rng = random.Random(f"mmgenre demo movie {seed} {index}")
    plan, regions = scene.plan, scene.regions
    overview, words = write_overview(plan, rng)
    overview, words = _spoil_overview(overview, words, rng)
    genres = list(plan.genres) if rng.random() >= _NO_GENRE else []
    names = genres + [name for name, share in _DROPPED_GENRES if rng.random() < share]
    rng.shuffle(names)
    row = demo_rows.metadata_row(
        movie_id=str(100 + 7 * index + rng.randrange(7)),
        title=scene.title,
        genres=names,
        overview=overview,
        poster_path=scene.poster_path,
        rng=rng,
    )
    rows = [row]
    if _at(index, _COMPANY_GENRES):
        row[demo_rows.COLUMNS.index("genres")] = demo_rows.company_genres(rng)
        genres = []
    elif _at(index, _SPLIT_ROW):
        rows = list(demo_rows.split_row(row))
        regions = ()
    elif _at(index, _DUPLICATE):
        rows = [row, row]
    movie_id = row[demo_rows.COLUMNS.index("id")]
    return rows, PlantedMovie(movie_id, tuple(genres), words, regions)


def _spoil_overview(
    overview: str, words: tuple[PlantedWord, ...], rng: random.Random
) -> tuple[str, tuple[PlantedWord, ...]]:
    """Applies the dirt of real overviews; the cue words stay where they are, or all go."""
    draw = rng.random()
    if draw < _NO_OVERVIEW:
        return demo_rows.no_overview(rng), ()
    if draw < _NO_OVERVIEW + _FOREIGN_SCRIPT:
        return f"{overview} {rng.choice(OTHER_SCRIPTS)}", words
    if draw < _NO_OVERVIEW + _FOREIGN_SCRIPT + _SEVERAL_LINES:
        return overview.replace(". ", ".\n"), words
    return overview, words


def _at(index: int, places: tuple[int, int]) -> bool:
    place, period = places
    return index % period == place


_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
