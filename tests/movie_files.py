"""Metadata and posters that tests make up, in the form of The Movies Dataset."""

import csv
import io
import random
from pathlib import Path

import numpy as np
from PIL import Image

from mmgenre import schema

COLUMNS = """
adult belongs_to_collection budget genres homepage id imdb_id original_language original_title
overview popularity poster_path production_companies production_countries release_date revenue
runtime spoken_languages status tagline title video vote_average vote_count
""".split()  # noqa: SIM905

WORDS = """
a the hero villain city love war dog spy ship storm friend secret night king song
""".split()  # noqa: SIM905


NUM_RAW_MOVIES = 150
"""Movies of the fixture `raw_movies`."""


def row(number: int, rng: random.Random | None = None, **changes: str) -> dict[str, str]:
    """One row of the metadata; the same for the same number."""
    rng = rng or random.Random(number)
    genres = rng.sample(schema.GENRES, rng.randint(1, 3))
    cells = dict.fromkeys(COLUMNS, "")
    cells |= {
        "adult": "False",
        "genres": str([{"id": 1, "name": name} for name in genres]),
        "id": str(number),
        "imdb_id": f"tt{number:07d}",
        "original_language": "en",
        "title": f"Movie {number}",
        "original_title": f"Movie {number}",
        "overview": f"Number {number}: " + " ".join(rng.choices(WORDS, k=rng.randint(3, 60))) + ".",
        "poster_path": f"/poster{number}.jpg",
        "video": "False",
    }
    return cells | changes


def csv_text(rows: list[dict[str, str]], columns=COLUMNS, **options) -> str:
    """The metadata file's text."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, extrasaction="ignore", **options)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_csv(path: Path, rows: list[dict[str, str]], **options) -> Path:
    path.write_text(csv_text(rows, **options), encoding="utf-8", newline="")
    return path


def jpeg(number: int, size: tuple[int, int] = (30, 44)) -> bytes:
    """A small JPEG that differs for each number."""
    rng = np.random.default_rng(number)
    pixels = np.kron(rng.integers(0, 256, (11, 6, 3), np.uint8), np.ones((4, 5, 1), np.uint8))
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "JPEG", quality=80)
    return file.getvalue()


def write_posters(folder: Path, numbers) -> Path:
    """Writes `/poster<number>.jpg` for each number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"poster{number}.jpg").write_bytes(jpeg(number))
    return folder


def make(folder: Path, num_movies: int, posters=None) -> tuple[Path, Path]:
    """Writes metadata of `num_movies` movies and posters of some; returns both paths."""
    metadata = write_csv(folder / "movies_metadata.csv", [row(n) for n in range(1, num_movies + 1)])
    numbers = range(1, num_movies + 1) if posters is None else posters
    return metadata, write_posters(folder / "posters", numbers)
