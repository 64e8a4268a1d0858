"""Stage 7, write: movies, tokens and pixels to the shards of a TFDS data set.

Each shard is written by one process and appears whole. Memory: a few hundred movies a process.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Mapping, Set
from typing import ClassVar, Final

import numpy as np
from etils import epath

from data_prep.encode.vector_files import VectorStore
from data_prep.shards import shard_order
from data_prep.shards.records import Record
from data_prep.splits import split
from data_prep.workspace import pixel_parts, workers
from data_prep.workspace.movie_file import MovieFile, labels_array
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest
from mmgenre import schema
from mmgenre.dataset import prepared, tfrecord
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.machine import files

NAME: Final = "write"
_VERSION: Final = 1
_BATCH: Final = 256
_INLINE: Final = 4096  # Movies that are written sooner than a pool of processes starts.


@dataclasses.dataclass(frozen=True)
class WriteTask:
    """All that a process needs to write one shard.

    Attributes:
      workspace: folder of the stages' results.
      path: of the shard.
      numbers: <int64>[num_movies], the movies, in order.
      max_tokens: where token sequences are cut.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
    """

    workspace: str
    path: str
    numbers: np.ndarray
    max_tokens: int
    num_genres: int
    vector_sizes: Mapping[str, int]

    @property
    def file_name(self) -> str:
        """Of the shard."""
        return epath.Path(self.path).name


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """Which shards to write from what.

    Attributes:
      out: the data set's folder.
      inputs: digest of movies, pixels, splits, the tokenizer and the vectors.
      max_tokens: where token sequences are cut.
      num_shards: of each split; None decides by size.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
    """

    out: epath.Path
    inputs: str
    max_tokens: int
    num_shards: int | None
    num_genres: int
    vector_sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def key(self) -> str:
        """Changes whenever the shards do."""
        return digest(
            NAME, _VERSION, self.inputs, self.max_tokens, self.num_shards, self.num_genres
        )

    def shards(self, workspace: epath.PathLike) -> list[WriteTask]:
        """The shards of all splits."""
        tasks = []
        for name in schema.SPLITS:
            numbers, ids = split.load_split(workspace, name)
            if not len(numbers):
                continue
            asked = shard_order.num_shards(len(numbers), self.num_shards)
            shards = shard_order.shards(numbers, ids, name, asked)
            for shard, members in enumerate(shards):
                path = self.out / prepared.shard_name(name, shard, len(shards))
                task = WriteTask(
                    str(workspace),
                    str(path),
                    members,
                    self.max_tokens,
                    self.num_genres,
                    dict(self.vector_sizes),  # Pickled: a view of one cannot be.
                )
                tasks.append(task)
        return tasks

    def missing(self, workspace: epath.PathLike, sizes: Mapping[str, int]) -> list[WriteTask]:
        """The shards that are not there with the sizes that were noted, by name."""
        return [task for task in self.shards(workspace) if not _is_written(task, sizes)]


@dataclasses.dataclass(frozen=True)
class Write(Stage[dict[str, int]]):
    """Writes the shards of every split, and comes to the bytes of each by its file's name.

    Attributes:
      plan: what to write.
      processes: that write.
    """

    plan: ShardPlan
    processes: int
    name: ClassVar[str] = NAME

    def key(self) -> str:
        """See `Stage`."""
        return self.plan.key()

    def is_whole(self, workspace: Workspace, outcome: dict[str, int]) -> bool:
        """See `Stage`."""
        return not self.plan.missing(workspace.path, outcome)

    def run(self, workspace: Workspace, progress: Progress) -> dict[str, int]:
        """Writes the shards that are missing; those that an earlier run finished are kept."""
        sizes = dict(workspace.marked(self.name, self.key()) or {})
        tasks = self.plan.shards(workspace.path)
        missing = self.plan.missing(workspace.path, sizes)
        remove_dataset(self.plan.out, {task.file_name for task in tasks} & sizes.keys())
        total = sum(len(task.numbers) for task in tasks)
        processes = self.processes if total > _INLINE else 1
        with (
            progress.bar(self.name, total, "movies") as bar,
            workers.ordered_map(write_shard, missing, processes) as written,
        ):
            bar.update(total - sum(len(task.numbers) for task in missing))
            for task, size in zip(missing, written, strict=True):
                sizes[task.file_name] = size
                workspace.mark(self.name, self.key(), sizes)
                bar.update(len(task.numbers))
        return sizes


def remove_dataset(out: epath.Path, kept: Set[str] = frozenset()) -> None:
    """Deletes the shards of a folder, but for `kept`, after the file that makes it a data set."""
    (out / prepared.INFO_FILE).unlink(missing_ok=True)
    for path in out.glob("mmgenre-*.tfrecord-*"):
        if path.name not in kept and prepared.is_shard_name(path.name):
            path.unlink()


def _is_written(task: WriteTask, sizes: Mapping[str, int]) -> bool:
    path = epath.Path(task.path)
    return path.exists() and files.size(path) == sizes.get(task.file_name)


def write_shard(task: WriteTask) -> int:
    """Writes one shard, atomically; returns its size in bytes."""
    size = 0
    records = iter_records(
        task.workspace,
        task.numbers.tolist(),
        task.max_tokens,
        task.num_genres,
        task.vector_sizes,
    )
    with contextlib.closing(records), files.atomic_write(task.path) as file:
        for record in records:
            size += tfrecord.write(file, record.serialise())
    return size


def iter_records(
    workspace: str,
    numbers: list[int],
    max_tokens: int,
    num_genres: int,
    vector_sizes: Mapping[str, int],
) -> Generator[Record, None, None]:
    """Streams the records of the movies of these numbers, in this order."""
    path = epath.Path(workspace)
    tokenizer = OverviewTokenizer.load(path / prepared.TOKENIZER_FILE)
    with (
        MovieFile(path) as movies,
        pixel_parts.PosterStore(path) as pixels,
        VectorStore(path, vector_sizes) as vectors,
    ):
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            chosen = [movies[number] for number in batch]
            tokens = tokenizer.encode_batch(movie.overview for movie in chosen)
            for number, movie, ids in zip(batch, chosen, tokens, strict=True):
                yield Record(
                    id=str(movie.id),
                    title=movie.title,
                    overview=movie.overview,
                    labels=labels_array(movie.labels, num_genres),
                    tokens=ids[:max_tokens],
                    poster=pixels[number],
                    vectors=vectors[number],
                )
