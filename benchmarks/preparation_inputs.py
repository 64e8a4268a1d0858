"""The inputs of the preparation benchmark: generated movies, and a served copy of a sample."""

import csv
import io
import os
import random
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.workspace import workers
from mmgenre import schema

POSTER_SHARE = 0.35  # As in the sample.
_BLOCK = 500
_COLUMNS = ("adult", "genres", "id", "imdb_id", "title", "overview", "poster_path")


def generate(folder: Path, num_movies: int) -> None:
    """Writes `movies_metadata.csv` and `posters/`: all different, texts about 55 words long."""
    posters = folder / "posters"
    posters.mkdir(parents=True)
    rng = random.Random(0)
    words = [f"word{int(rng.paretovariate(0.9)) % 60_000}" for _ in range(200_000)]
    with (folder / "movies_metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for number in range(1, num_movies + 1):
            start = rng.randrange(len(words) - 120)
            text = " ".join(words[start : start + rng.randint(20, 90)])
            genres = [{"id": 1, "name": name} for name in rng.sample(schema.GENRES, 2)]
            path = f"/{number}.jpg" if number % 20 < 20 * POSTER_SHARE else ""
            writer.writerow(
                ("False", genres, number, f"tt{number:07d}", f"Movie {number}", text, path)
            )
    with_poster = [n for n in range(1, num_movies + 1) if n % 20 < 20 * POSTER_SHARE]
    blocks = [
        (str(posters), with_poster[start : start + _BLOCK])
        for start in range(0, len(with_poster), _BLOCK)
    ]
    with workers.ordered_map(_write_posters, blocks, workers.num_cores()) as written:
        for _ in written:
            pass


def _write_posters(block: tuple[str, list[int]]) -> None:
    """Pictures of soft shapes, 154 x 231, about the size in bytes of real posters."""
    folder, numbers = block
    for number in numbers:
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (12, 8, 3), np.uint8))
        picture = small.resize((154, 231), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=92)
        (Path(folder) / f"{number}.jpg").write_bytes(file.getvalue())


def server_folder(posters: Path, folder: Path) -> Path:
    """Makes the layout of the image server around a folder of posters 154 pixels wide."""
    folder.mkdir(parents=True)
    os.symlink(posters.resolve(), folder / "w154")
    return folder
