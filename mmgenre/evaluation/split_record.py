"""What an evaluation leaves in the run directory beside its metrics: enough to draw a report from.

    predictions-<split>.npz   every movie's labels and logits, with each half withheld too
    movies-<split>.json       the movies that the model gets most wrong and most right, with posters

No TensorFlow, no JAX: whoever draws figures reads this.
"""

import base64
import dataclasses
import io
import json
import zipfile
from typing import Any, Final, Self

import numpy as np
from etils import epath
from PIL import Image

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.runs.directory import RunDirectory

NUM_NOTABLE: Final = 12
"""Movies that are kept of the most wrong and of the most right ones."""

_MAX_OVERVIEW: Final = 1200


@dataclasses.dataclass(frozen=True)
class SplitRecord:
    """A model's answers for the movies of one split, in the order of the records.

    Attributes:
      step: of the checkpoint that answered.
      dataset_name: of the data set.
      fingerprint: of the data set.
      ids: <str>[movies].
      titles: <str>[movies].
      labels: <uint8>[movies, 18].
      logits: <float32>[movies, 18].
      poster_logits: <float32>[movies, 18], with the overview withheld.
      overview_logits: <float32>[movies, 18], with the poster withheld.
      has_poster: <bool>[movies].
      num_tokens: <int32>[movies], tokens of the overview; 0 where there is none.
    """

    step: int
    dataset_name: str
    fingerprint: str
    ids: np.ndarray
    titles: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    poster_logits: np.ndarray
    overview_logits: np.ndarray
    has_poster: np.ndarray
    num_tokens: np.ndarray

    def save(self, path: epath.Path) -> None:
        """Writes one file, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **dataclasses.asdict(self))
        files.write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: epath.Path) -> Self:
        """Reads what `save` wrote; raises UserError where the file is damaged."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                fields = {field.name: arrays[field.name] for field in dataclasses.fields(cls)}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} is damaged ({str(error).splitlines()[0]}); evaluate the run again"
            ) from error
        for name, kind in (("step", int), ("dataset_name", str), ("fingerprint", str)):
            fields[name] = kind(fields[name])
        return cls(**fields)


def predictions_file(run: RunDirectory, split: str) -> epath.Path:
    """Where the `SplitRecord` of a split is."""
    return run.path / f"predictions-{split}.npz"


def movies_file(run: RunDirectory, split: str) -> epath.Path:
    """Where the notable movies of a split are."""
    return run.path / f"movies-{split}.json"


def movie_losses(record: SplitRecord) -> np.ndarray:
    """Returns each movie's mean sigmoid cross-entropy over the genres, <float64>[movies]."""
    logits = record.logits.astype(np.float64)
    losses = np.logaddexp(0, logits) - logits * record.labels
    return losses.mean(axis=1)


def notable_movies(record: SplitRecord) -> tuple[np.ndarray, np.ndarray]:
    """Returns the record numbers of the most wrong and of the most right movies, at most 12 each.

    Among the right ones each set of genres comes once: the surest dozen would be a dozen of the
    same kind.
    """
    losses = movie_losses(record)
    order = np.argsort(losses, kind="stable")
    right: list[int] = []
    seen: set[bytes] = set()
    for movie in order:
        kind = record.labels[movie].tobytes()
        if kind not in seen:
            seen.add(kind)
            right.append(int(movie))
        if len(right) == NUM_NOTABLE:
            break
    wrong = [int(movie) for movie in order[::-1] if int(movie) not in right][:NUM_NOTABLE]
    return np.asarray(wrong, np.int64), np.asarray(right, np.int64)


def describe_movie(
    record: SplitRecord, movie: int, overview: str, poster: np.ndarray
) -> dict[str, Any]:
    """Returns a notable movie as JSON: what a reader wants to see of it.

    Args:
      record: of its split.
      movie: its record number.
      overview: the text, of which the beginning is kept.
      poster: <uint8>[64, 64, 3], as the model sees it.
    """
    if len(overview) > _MAX_OVERVIEW:
        overview = overview[:_MAX_OVERVIEW].rstrip() + " ..."
    return {
        "record": movie,
        "id": str(record.ids[movie]),
        "title": str(record.titles[movie]),
        "overview": overview,
        "poster_png": png_base64(poster) if record.has_poster[movie] else None,
        "genres": schema.decode_genres(record.labels[movie]),
        "loss": float(movie_losses(record)[movie]),
    }


def load_movies(path: epath.Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the notable movies, {"wrong": [...], "right": [...]}; empty where there are none."""
    if not path.exists():
        return {"wrong": [], "right": []}
    try:
        movies = json.loads(path.read_text())
        return {name: list(movies[name]) for name in ("wrong", "right")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); evaluate the run again") from error


def png_base64(pixels: np.ndarray) -> str:
    """Returns <uint8>[height, width, 3] as a PNG file in base64, for a page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
