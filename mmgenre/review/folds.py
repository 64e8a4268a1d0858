"""Folds of a data set's movies: all copies of a movie are in one of them."""

import dataclasses
import hashlib
import heapq
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from mmgenre import schema
from mmgenre.dataset import same_movies
from mmgenre.dataset.dealt import DealtDataset
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text

VALIDATION_PARTS: Final = 10
"""One part in so many of what a fold leaves is for validation."""

_AT_ONCE: Final = 4_096  # Movies, whose posters are in memory together.


@dataclasses.dataclass(frozen=True)
class Folds:
    """The movies of some splits of a data set, dealt out.

    Attributes:
      dataset: it.
      splits: whose movies are judged; they are numbered one split after the other.
      labels: <uint8>[movies, genres].
      fold_of: <int>[movies], from 0.
      groups: <int>[movies], the same number for the same movie.
      num_folds: how many there are.
      seed: of the choice.
    """

    dataset: PreparedDataset
    splits: tuple[str, ...]
    labels: np.ndarray
    fold_of: np.ndarray
    groups: np.ndarray
    num_folds: int
    seed: int

    def view(self, fold: int) -> DealtDataset:
        """Returns the movies as a data set whose test split is this fold.

        The others are its train split, but for a tenth, which is its validation split.

        Raises:
          UserError: the others are too few.
        """
        others = np.flatnonzero(self.fold_of != fold)
        part = deal(self.groups[others], VALIDATION_PARTS, self.seed + fold + 1)
        numbers = {
            schema.TRAIN: others[part > 0],
            schema.VALIDATION: others[part == 0],
            schema.TEST: np.flatnonzero(self.fold_of == fold),
        }
        for split, movies in numbers.items():
            if not len(movies):
                raise UserError(
                    f"fold {fold + 1} of {self.num_folds} has no {split} movies: "
                    f"{self.dataset.path} has only {len(self.fold_of)} to review"
                )
        return DealtDataset.deal(self.dataset, self.splits, numbers, self.labels)


def make_folds(dataset: PreparedDataset, splits: Sequence[str], num_folds: int, seed: int) -> Folds:
    """Reads the movies of some splits, finds those that are the same, and deals them out.

    Raises:
      UserError: there is no such split, fewer different movies than folds, or a damaged shard.
    """
    labels = [read_split(dataset, split, schema.LABELS)[schema.LABELS] for split in splits]
    groups = groups_of_records(dataset, splits)
    num_groups = len(np.unique(groups))
    if num_groups < num_folds:
        raise UserError(
            f"--folds is {num_folds}, but {dataset.path} has only {num_groups} different movies"
        )
    fold_of = deal(groups, num_folds, seed)
    return Folds(dataset, tuple(splits), np.concatenate(labels), fold_of, groups, num_folds, seed)


def deal(groups: np.ndarray, num_parts: int, seed: int) -> np.ndarray:
    """Returns <int>[movies]: the part of each, from 0; no group is in two parts.

    The largest groups go first, equal ones by chance, and each to the part that has least.

    Args:
      groups: <int>[movies], the group of each.
      num_parts: to deal out to.
      seed: of the chance.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    chance = np.random.default_rng(seed).random(len(sizes))
    part_of_group = np.zeros(len(sizes), np.int64)
    parts = [(0, part) for part in range(num_parts)]
    for group in np.lexsort((chance, -sizes)).tolist():
        size, part = heapq.heappop(parts)
        part_of_group[group] = part
        heapq.heappush(parts, (size + int(sizes[group]), part))
    return part_of_group[group_of]


def groups_of_records(dataset: PreparedDataset, splits: Iterable[str]) -> np.ndarray:
    """Returns <int32>[movies]: the group of each record of some splits, one split after the other.

    Records have not all that preparation compares. Here movies are the same that have the same id,
    overview or title, each after normalisation, or the same pixels. So remakes are kept together,
    too, if they have kept their title.

    Raises:
      UserError: there is no such split, or a shard is missing or damaged.
    """
    digests: dict[str, list[int]] = {
        name: [] for name in (schema.ID, schema.OVERVIEW, schema.TITLE, schema.POSTER)
    }
    for split in splits:
        num_movies = dataset.split(split).num_movies
        for start in range(0, num_movies, _AT_ONCE):
            movies = np.arange(start, min(start + _AT_ONCE, num_movies))
            found = read_split(dataset, split, *digests, schema.HAS_POSTER, movies=movies)
            digests[schema.ID] += [_digest(id_.encode()) for id_ in found[schema.ID]]
            for name in (schema.OVERVIEW, schema.TITLE):
                texts = map(overview_text.normalise, found[name])
                digests[name] += [_digest(text.encode()) for text in texts]
            digests[schema.POSTER] += [
                _digest(pixels.tobytes() if has_poster else b"")
                for pixels, has_poster in zip(
                    found[schema.POSTER], found[schema.HAS_POSTER], strict=True
                )
            ]
    kinds = [np.array(values, np.uint64) for values in digests.values()]
    return same_movies.joined(
        len(kinds[0]), [(np.flatnonzero(keys), keys[keys != 0]) for keys in kinds]
    )


def _digest(data: bytes) -> int:
    """64 bits that identify some bytes; 0 for none."""
    if not data:
        return 0
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1
