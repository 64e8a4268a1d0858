"""A model's answers for every movie of a split, as evaluation leaves them in the run directory.

No TensorFlow, no JAX: whoever draws figures reads this.
"""

import dataclasses
import io
import zipfile
import zlib
from typing import Any, Final, Self

import numpy as np
from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.runs import format_version

FORMAT_VERSION: Final = 1
"""Of `predictions-*.npz`."""

_GENRES: Final = "genres"
_KINDS: Final = {
    "ids": "",
    "titles": "",
    "labels": _GENRES,
    "logits": _GENRES,
    "poster_logits": _GENRES,
    "overview_logits": _GENRES,
    "has_poster": "",
    "num_tokens": "",
}
"""What follows the movies in the shape of each array; all have as many genres."""

_DAMAGE: Final = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class SplitRecord:
    """A model's answers for the movies of one split, in the order of the records.

    Attributes:
      step: of the checkpoint that answered.
      dataset_name: of the data set.
      fingerprint: of the data set.
      ids: <str>[movies].
      titles: <str>[movies].
      labels: <uint8>[movies, genres].
      logits: <float32>[movies, genres].
      poster_logits: <float32>[movies, genres], with the overview withheld.
      overview_logits: <float32>[movies, genres], with the poster withheld.
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
        arrays: dict[str, Any] = {format_version.KEY: FORMAT_VERSION, **dataclasses.asdict(self)}
        np.savez_compressed(buffer, **arrays)
        files.write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: epath.Path) -> Self:
        """Reads what `save` wrote.

        Raises:
          UserError: the file is damaged, or a newer program wrote it.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                if format_version.KEY in arrays:
                    version = {format_version.KEY: arrays[format_version.KEY].item()}
                    format_version.require_known(path, version, FORMAT_VERSION)
                fields = {field.name: arrays[field.name] for field in dataclasses.fields(cls)}
            num_movies = len(fields["ids"])
            num_genres = fields["labels"].shape[1:]
            for name, kind in _KINDS.items():
                if len(num_genres) != 1 or fields[name].shape != (
                    num_movies,
                    *(num_genres if kind else ()),
                ):
                    raise ValueError(f"{name} has the shape {fields[name].shape}")
            return cls(
                **fields
                | {
                    "step": int(fields["step"]),
                    "dataset_name": str(fields["dataset_name"]),
                    "fingerprint": str(fields["fingerprint"]),
                }
            )
        except _DAMAGE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"{path} is damaged ({reason}); evaluate the run again") from error


def poster_share(
    logits: np.ndarray, poster_logits: np.ndarray, overview_logits: np.ndarray
) -> np.ndarray:
    """Returns the poster's share of each decision, in [0, 1]; the rest is the overview's.

    The share is that of the change in logit: with the poster withheld, against the sum of that and
    the change with the overview withheld. 0.5 where neither changes anything.

    Args:
      logits: <float>[...], with both halves.
      poster_logits: <float>[...], with the poster alone.
      overview_logits: <float>[...], with the overview alone.
    """
    without_poster = np.abs(logits - overview_logits)
    without_overview = np.abs(logits - poster_logits)
    total = without_poster + without_overview
    return np.where(total > 0, without_poster / np.where(total > 0, total, 1), 0.5)


def has_both(record: SplitRecord) -> np.ndarray:
    """Returns <bool>[movies]: which movies have a poster and an overview."""
    return record.has_poster & (record.num_tokens > 0)


def poster_share_per_genre(record: SplitRecord) -> np.ndarray:
    """Returns the poster's mean share <float>[genres] over the movies of each genre that have both.

    NaN for a genre that no such movie has.
    """
    shares = poster_share(record.logits, record.poster_logits, record.overview_logits)
    weights = record.labels.astype(bool) & has_both(record)[:, None]
    counts = weights.sum(axis=0)
    sums = (shares * weights).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
