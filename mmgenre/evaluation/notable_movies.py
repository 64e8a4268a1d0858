"""The movies of a split that a model gets most wrong and most right, as a report shows them.

No TensorFlow, no JAX: whoever draws figures reads this.
"""

import base64
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np
from etils import epath
from PIL import Image

from mmgenre.errors import UserError
from mmgenre.evaluation.split_record import SplitRecord
from mmgenre.machine.json_files import read_json
from mmgenre.runs import format_version

FORMAT_VERSION: Final = 1
"""Of `movies-*.json`."""

NUM_NOTABLE: Final = 12
"""Movies that are kept of the most wrong and of the most right ones."""

_MAX_OVERVIEW: Final = 1200


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotableMovie:
    """A movie as a report shows it.

    Attributes:
      record: its number in the split.
      id: in the metadata.
      title: may be empty.
      overview: its beginning.
      poster_png: as the model sees it, a PNG file in base64; None where there is none.
      genres: that it has.
      loss: mean over the genres.
    """

    record: int
    id: str
    title: str
    overview: str
    poster_png: str | None
    genres: list[str]
    loss: float


class Chosen(NamedTuple):
    """Record numbers <int64>[at most 12] of the most wrong and of the most right movies."""

    wrong: np.ndarray
    right: np.ndarray


@dataclasses.dataclass(frozen=True)
class NotableMovies:
    """The most wrong movies and the most right ones, the extreme first."""

    wrong: list[NotableMovie] = dataclasses.field(default_factory=list)
    right: list[NotableMovie] = dataclasses.field(default_factory=list)

    def to_json(self) -> str:
        """The text of `movies-*.json`."""
        fields = {format_version.KEY: FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def load(cls, path: epath.Path) -> Self:
        """Reads `movies-*.json`; empty where there is no such file.

        Raises:
          UserError: the file is damaged, or a newer program wrote it.
        """
        if not path.exists():
            return cls()
        try:
            fields = read_json(path)
            format_version.require_known(path, fields, FORMAT_VERSION)
            return msgspec.convert(fields, cls)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); evaluate the run again") from error


def choose(record: SplitRecord) -> Chosen:
    """Chooses the most wrong and the most right movies by their loss.

    Among the right ones each set of genres comes once: the surest dozen would be a dozen of the
    same kind.
    """
    order = np.argsort(_losses(record), kind="stable")
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
    return Chosen(np.asarray(wrong, np.int64), np.asarray(right, np.int64))


def describe(
    record: SplitRecord,
    chosen: Chosen,
    overviews: Sequence[str] | np.ndarray,
    posters: np.ndarray,
    genres: Sequence[str],
) -> NotableMovies:
    """Describes the chosen movies.

    Args:
      record: of their split.
      chosen: their numbers.
      overviews: <str>[chosen], of the wrong ones, then of the right ones.
      posters: <uint8>[chosen, 64, 64, 3], likewise.
      genres: the names that labels stand for.
    """
    losses = _losses(record)
    movies = [
        NotableMovie(
            record=number,
            id=str(record.ids[number]),
            title=str(record.titles[number]),
            overview=_beginning(overview),
            poster_png=_png_base64(poster) if record.has_poster[number] else None,
            genres=[genres[g] for g in np.flatnonzero(record.labels[number]).tolist()],
            loss=float(losses[number]),
        )
        for number, overview, poster in zip(
            np.concatenate([*chosen]).tolist(), overviews, posters, strict=True
        )
    ]
    return NotableMovies(movies[: len(chosen.wrong)], movies[len(chosen.wrong) :])


def _losses(record: SplitRecord) -> np.ndarray:
    """Returns each movie's mean sigmoid cross-entropy over the genres, <float64>[movies]."""
    logits = record.logits.astype(np.float64)
    losses = np.logaddexp(0, logits) - logits * record.labels
    return losses.mean(axis=1)


def _beginning(overview: str) -> str:
    if len(overview) <= _MAX_OVERVIEW:
        return overview
    return overview[:_MAX_OVERVIEW].rstrip() + " ..."


def _png_base64(pixels: np.ndarray) -> str:
    """Returns <uint8>[height, width, 3] as a PNG file in base64, for a page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
