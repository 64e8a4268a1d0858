"""Stage 6, write: movies, tokens and pixels to the shards of a TFDS data set.

Each shard is written by one process and appears whole. Memory: a few hundred movies a process.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Set
from typing import Final

import numpy as np
from etils import epath

from data_prep.shards import shard_order
from data_prep.shards.records import Record
from data_prep.splits import split
from data_prep.workspace import movie_file as movies
from data_prep.workspace import pixel_parts, storage, workers
from data_prep.workspace.progress import Progress
from mmgenre import schema
from mmgenre.dataset import prepared, tfrecord
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.machine import files

STAGE: Final = "write"
_VERSION: Final = 1
_BATCH: Final = 256
_INLINE: Final = 4096  # Movies that are written sooner than a pool of processes starts.


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """All that a process needs to write one shard.

    Attributes:
      workspace: folder of the stages' results.
      path: of the shard.
      numbers: <int64>[num_movies], the movies, in order.
      max_tokens: where token sequences are cut.
    """

    workspace: str
    path: str
    numbers: np.ndarray
    max_tokens: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which shards to write from what.

    Attributes:
      workspace: holds movies, pixels, splits and the tokenizer.
      out: the data set's folder.
      inputs: digest of all these.
      max_tokens: where token sequences are cut.
      num_shards: of each split; None decides by size.
    """

    workspace: storage.Workspace
    out: epath.Path
    inputs: str
    max_tokens: int
    num_shards: int | None

    @property
    def key(self) -> str:
        """Changes whenever the shards do."""
        return storage.digest(STAGE, _VERSION, self.inputs, self.max_tokens, self.num_shards)

    def tasks(self) -> list[ShardTask]:
        """The shards of all splits."""
        tasks = []
        for name in schema.SPLITS:
            numbers, ids = split.load_split(self.workspace.path, name)
            if not len(numbers):
                continue
            asked = shard_order.num_shards(len(numbers), self.num_shards)
            shards = shard_order.shards(numbers, ids, name, asked)
            for shard, members in enumerate(shards):
                path = self.out / prepared.shard_name(name, shard, len(shards))
                tasks.append(
                    ShardTask(str(self.workspace.path), str(path), members, self.max_tokens)
                )
        return tasks


def write(plan: Plan, processes: int, progress: Progress) -> None:
    """Writes the shards of every split; a shard that an earlier run finished is kept.

    Args:
      plan: what to write.
      processes: that write.
      progress: shown while writing.
    """
    tasks = plan.tasks()
    sizes: dict[str, int] = dict(plan.workspace.outcome(STAGE, plan.key) or {})
    missing = [task for task in tasks if not _is_written(task, sizes)]
    if not missing:
        progress.skipped(STAGE)
        return
    remove_dataset(plan.out, {epath.Path(task.path).name for task in tasks} & sizes.keys())
    total = sum(len(task.numbers) for task in tasks)
    if total <= _INLINE:
        processes = 1
    with progress.bar(STAGE, total, "movies") as bar:
        bar.update(total - sum(len(task.numbers) for task in missing))
        with workers.ordered_map(write_shard, missing, processes) as written:
            for task, size in zip(missing, written, strict=True):
                sizes[epath.Path(task.path).name] = size
                plan.workspace.finish(STAGE, plan.key, sizes)
                bar.update(len(task.numbers))


def remove_dataset(out: epath.Path, kept: Set[str] = frozenset()) -> None:
    """Deletes the shards of a folder, but for `kept`, after the file that makes it a data set."""
    (out / prepared.INFO_FILE).unlink(missing_ok=True)
    for path in out.glob("mmgenre-*.tfrecord-*"):
        if path.name not in kept:
            path.unlink()


def _is_written(task: ShardTask, sizes: dict[str, int]) -> bool:
    path = epath.Path(task.path)
    return path.exists() and files.size(path) == sizes.get(path.name)


def write_shard(task: ShardTask) -> int:
    """Writes one shard, atomically; returns its size in bytes."""
    size = 0
    records = iter_records(task.workspace, task.numbers.tolist(), task.max_tokens)
    with contextlib.closing(records), storage.atomic_write(task.path) as file:
        for record in records:
            size += tfrecord.write(file, record.serialise())
    return size


def iter_records(
    workspace: str, numbers: list[int], max_tokens: int
) -> Generator[Record, None, None]:
    """Streams the records of the movies of these numbers, in this order."""
    path = epath.Path(workspace)
    tokenizer = OverviewTokenizer.load(path / prepared.TOKENIZER_FILE)
    with movies.MovieFile(path) as movie_file, pixel_parts.PosterStore(path) as pixels:
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            chosen = [movie_file[number] for number in batch]
            tokens = tokenizer.encode_batch(movie.overview for movie in chosen)
            for number, movie, ids in zip(batch, chosen, tokens, strict=True):
                yield Record(
                    id=str(movie.id),
                    title=movie.title,
                    overview=movie.overview,
                    labels=movies.labels_array(movie.labels, schema.NUM_GENRES),
                    tokens=ids[:max_tokens],
                    poster=pixels[number],
                )
