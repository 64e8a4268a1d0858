"""Stage 4, split: which movie goes where, so that no copy is in two splits.

The one stage whose memory grows with the number of movies: it must compare all of them.
"""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Self

import numpy as np
from etils import epath

from data_prep.splits.duplicates import DUPLICATE, Keys, hash_ids
from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import Movie, MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest
from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files

_VERSION: Final = 2
SPLIT_FILE: Final = "split.npy"
IDS_FILE: Final = "ids.npy"
DROPPED: Final = 255
"""The entry of the split file of a movie that is dropped; others index `schema.SPLITS`."""

TEST_SHARE: Final = 0.2
VALIDATION_SHARE: Final = 0.1  # Of what the test split leaves.
_BIG: Final = 20  # A group of more than a twentieth of a split would distort it: it goes to train.


@dataclasses.dataclass(frozen=True)
class SplitOutcome:
    """What splitting did.

    Attributes:
      dropped: movies dropped, by reason.
      copies: by what they share: movies that share it with another kept one.
      groups: number of groups of at least two movies that are the same.
      grouped: movies in those groups.
      largest_group: movies in the largest.
      counts: movies by split.
      digest: of the split file.
      leaks: as `copies`, of a catalogue's own split: movies that share it across two splits.
    """

    dropped: dict[str, int]
    copies: dict[str, int]
    groups: int
    grouped: int
    largest_group: int
    counts: dict[str, int]
    digest: str
    leaks: dict[str, int] = dataclasses.field(default_factory=dict)


def split_counts(num_movies: int) -> dict[str, int]:
    """Movies by split: as train_test_split(test_size=0.2), then 10% of the rest for validation."""
    test = math.ceil(TEST_SHARE * num_movies)
    validation = math.ceil(VALIDATION_SHARE * (num_movies - test))
    return {
        schema.TRAIN: num_movies - test - validation,
        schema.VALIDATION: validation,
        schema.TEST: test,
    }


@dataclasses.dataclass(frozen=True)
class Split(Stage[SplitOutcome]):
    """Writes the split of each movie of the workspace.

    Attributes:
      inputs: digest of movies and pixels.
      require: as for reading; now it is known which posters are available.
      seed: of the random choice.
      all_to: a split that gets every movie, or None.
      own_split: whether the movies bring a split, which is kept; copies that it has in two splits
        are counted, not moved.
      keep_franchises: whether movies whose titles have the same stem stay in one split.
    """

    inputs: str
    require: str
    seed: int
    all_to: str | None = None
    own_split: bool = False
    keep_franchises: bool = False
    name: ClassVar[str] = "split"
    outcome_type: ClassVar[type[SplitOutcome]] = SplitOutcome

    def key(self) -> str:
        """See `Stage`."""
        own: list[object] = [self.own_split] if self.own_split else []
        own += ["franchises"] if self.keep_franchises else []
        return digest(self.name, _VERSION, self.inputs, self.require, self.seed, self.all_to, *own)

    def run(self, workspace: Workspace, progress: Progress) -> SplitOutcome:
        """Raises UserError where too few movies are left to make a train split."""
        candidates = _Candidates.read(workspace, self, progress)
        keys, component = candidates.keys, candidates.component
        kept = np.flatnonzero(component >= 0)
        dropped = {why: count for why, count in sorted(candidates.dropped.items()) if count}
        if not len(kept):
            reasons = "; ".join(f"{reason}: {count}" for reason, count in dropped.items())
            raise UserError(f"no movie is left to prepare ({reasons})")
        assignment = np.full(len(component), DROPPED, np.uint8)
        leaks: dict[str, int] = {}
        if self.all_to:
            assignment[kept] = schema.SPLITS.index(self.all_to)
        elif self.own_split:
            assignment[kept] = candidates.own_split[kept]
            leaks = keys.copies_across(assignment)
        else:
            assignment[kept] = assign(keys.ids[kept], component[kept], self.seed)
        if self.all_to is None and not (assignment == schema.SPLITS.index(schema.TRAIN)).any():
            raise UserError(
                f"{len(kept)} movies are too few to make a train split; give at least 3, or put "
                "all into one split with --all-to"
            )
        with files.atomic_write(workspace.path / IDS_FILE) as file:
            np.save(file, _with_texts(keys.ids, candidates.text_ids))
        with files.atomic_write(workspace.path / SPLIT_FILE) as file:
            np.save(file, assignment)
        sizes = np.bincount(component[kept])
        return SplitOutcome(
            dropped=dropped,
            copies=keys.copies(),
            leaks=leaks,
            groups=int((sizes > 1).sum()),
            grouped=int(sizes[sizes > 1].sum()),
            largest_group=int(sizes.max()),
            counts={
                name: int((assignment == code).sum()) for code, name in enumerate(schema.SPLITS)
            },
            digest=hashlib.sha256(assignment.data).hexdigest(),
        )


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """The movies of a workspace as splitting sees them.

    Attributes:
      keys: what movies are compared by.
      component: <int32>[num_movies], the group of each; -1 for those that are dropped.
      own_split: <uint8>[num_movies], what the catalogue says, or `DROPPED`.
      text_ids: ids that are no numbers, by the movie's number.
      dropped: movies by the reason why they are.
    """

    keys: Keys
    component: np.ndarray
    own_split: np.ndarray
    text_ids: dict[int, str]
    dropped: Mapping[str, int]

    @classmethod
    def read(cls, workspace: Workspace, stage: Split, progress: Progress) -> Self:
        """Reads all movies, and finds those that are the same."""
        dropped: collections.Counter[str] = collections.Counter()
        text_ids: dict[int, str] = {}
        with MovieFile(workspace.path) as movies:
            keys = Keys(len(movies))
            own_split = np.full(len(movies), DROPPED, np.uint8)
            with progress.bar(Split.name, len(movies), "movies") as bar:
                for number, movie, status, pixels in _with_posters(workspace, movies):
                    bar.update()
                    if not _is_kept(movie, status, stage.require):
                        dropped[f"no poster: {status}"] += 1
                        continue
                    keys.add(number, movie, pixels, by_title=stage.keep_franchises)
                    if isinstance(movie.id, str):
                        text_ids[number] = movie.id
                    if movie.split:
                        own_split[number] = schema.SPLITS.index(movie.split)
            component = keys.components()
            merged = keys.duplicates(movies)
        keys.remove(merged)
        dropped[DUPLICATE] += len(merged)
        component[merged] = -1
        return cls(keys, component, own_split, text_ids, dropped)


def _with_posters(workspace: Workspace, movies: MovieFile) -> Iterator[tuple[int, Movie, str, int]]:
    """Yields each movie's number, the movie, its poster's status and the digest of its pixels."""
    for part in range(pixel_parts.num_parts(len(movies))):
        numbers = pixel_parts.part_range(part, len(movies))
        facts = pixel_parts.require_part(workspace.path, part)
        chosen = movies.range(numbers.start, numbers.stop)
        yield from zip(numbers, chosen, facts.status, facts.digest.tolist(), strict=True)


def _with_texts(ids: np.ndarray, texts: dict[int, str]) -> np.ndarray:
    """Returns the ids as they are written: <int64>[n], or texts where some are no numbers."""
    if not texts:
        return ids
    return np.array([texts.get(number, str(id_)) for number, id_ in enumerate(ids.tolist())])


def load_split(workspace: epath.PathLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers in the workspace <int64>[n] and the ids of a split's movies.

    The ids are <int64>[n], or texts where some of the data set's are no numbers.
    """
    path = epath.Path(workspace)
    with (path / SPLIT_FILE).open("rb") as file:
        numbers = np.flatnonzero(np.load(file) == schema.SPLITS.index(name))
    with (path / IDS_FILE).open("rb") as file:
        return numbers, np.load(file)[numbers]


def _is_kept(movie: Movie, status: str, require: str) -> bool:
    if require in ("poster", "both"):
        return status == pixel_parts.FOUND
    return require == "overview" or bool(movie.overview) or status == pixel_parts.FOUND


def assign(ids: np.ndarray, component: np.ndarray, seed: int) -> np.ndarray:
    """Deals groups of movies out to the splits, by a hash of seed and id: not by the order of rows.

    Groups of several movies go first, each by chance, except that one that is more than a twentieth
    of a split or no longer fits into it goes to train; single movies then fill test and validation
    up to exactly the counts of `split_counts`. So the counts are met unless the groups in train
    alone are bigger than train.

    Args:
      ids: <int64>[num_movies], the movies' ids.
      component: <int>[num_movies], the group of each.
      seed: of the choice.

    Returns:
      <uint8>[num_movies], index of each movie's split in `schema.SPLITS`.
    """
    train, validation, test = (schema.SPLITS.index(name) for name in schema.SPLITS)
    room = {schema.SPLITS.index(name): n for name, n in split_counts(len(ids)).items()}
    limit = {code: max(1, count // _BIG) for code, count in room.items()}
    chance = hash_ids(ids, seed)
    # By group, and in a group by id, so that the first movie speaks for all.
    order = np.lexsort((ids, component))
    first = np.flatnonzero(np.r_[True, np.diff(component[order]) != 0])
    sizes = np.diff(np.r_[first, len(ids)])
    group_chance = chance[order[first]]
    # Equal chances are possible in theory only; the id then decides.
    dealt = np.lexsort((ids[order[first]], group_chance))
    split_of_group = np.full(len(first), train, np.uint8)
    for group in dealt[sizes[dealt] > 1]:
        share = group_chance[group] / 2.0**64
        if share < TEST_SHARE:
            code = test
        elif share < TEST_SHARE + VALIDATION_SHARE * (1 - TEST_SHARE):
            code = validation
        else:
            code = train
        if code != train and sizes[group] <= min(limit[code], room[code]):
            split_of_group[group] = code
            room[code] -= int(sizes[group])
    singles = dealt[sizes[dealt] == 1]
    split_of_group[singles[: room[test]]] = test
    split_of_group[singles[room[test] : room[test] + room[validation]]] = validation
    result = np.empty(len(ids), np.uint8)
    result[order] = np.repeat(split_of_group, sizes)
    return result
