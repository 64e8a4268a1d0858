"""Stage 8, index: reads the shards back and writes all that describes them."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from etils import epath

from data_prep.metadata.read import ReadOutcome
from data_prep.posters.decode import Decoded, corrupt_posters
from data_prep.shards import audit, checksums, plot, shard_facts, tfds_metadata
from data_prep.shards.shard_facts import ShardFacts
from data_prep.splits.split import SplitOutcome
from data_prep.workspace import workers
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest
from mmgenre import schema
from mmgenre.dataset import prepared
from mmgenre.dataset.prepared import DatasetInfo
from mmgenre.encoders.encoder_info import EncoderInfo, vector_sizes
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import OverviewTokenizer, tokenizer_digest
from mmgenre.machine import files

_VERSION: Final = 2
_INLINE: Final = 200 << 20  # Bytes that are read sooner than a pool of processes starts.


@dataclasses.dataclass(frozen=True)
class Index(Stage[dict[str, Any]]):
    """Describes the shards, and comes to what the audit says.

    Attributes:
      out: the data set's folder, with its shards.
      dataset_name: of the data set.
      shards_key: digest of what the shards are made from.
      movies: what reading came to,
      posters: decoding,
      splits: and splitting.
      processes: that read shards.
      encoders: of the vectors, by feature.
    """

    out: epath.Path
    dataset_name: str
    shards_key: str
    movies: ReadOutcome
    posters: Decoded
    splits: SplitOutcome
    processes: int
    encoders: Mapping[str, EncoderInfo]
    name: ClassVar[str] = "index"

    def key(self) -> str:
        """See `Stage`."""
        read = dataclasses.asdict(self.movies)
        of = {name: dataclasses.asdict(info) for name, info in self.encoders.items()}
        further = [of] if of else []
        return digest(self.name, _VERSION, self.shards_key, self.dataset_name, read, *further)

    def is_whole(self, workspace: Workspace, outcome: dict[str, Any]) -> bool:
        """See `Stage`."""
        del workspace
        try:
            return prepared.open_dataset(self.out).info.fingerprint == outcome["fingerprint"]
        except (UserError, KeyError):
            return False

    def run(self, workspace: Workspace, progress: Progress) -> dict[str, Any]:
        """Writes the file that makes the folder a data set as the last one."""
        facts = self._read_shards(progress)
        genres = tuple(self.movies.genres)
        tokenizer = workspace.path / prepared.TOKENIZER_FILE
        files.write_bytes(self.out / prepared.TOKENIZER_FILE, tokenizer.read_bytes())
        files.write_text(self.out / prepared.GENRES_FILE, self.movies.genres_text)
        indices = {split: shard_facts.record_index(shards) for split, shards in facts.items()}
        prepared.write_index(self.out, indices)
        sizes = vector_sizes(self.encoders)
        tfds_metadata.write(self.out, self.dataset_name, _lengths(facts), len(genres), sizes)
        info = DatasetInfo(
            name=self.dataset_name,
            schema_version=prepared.SCHEMA_VERSION,
            tokenizer_sha256=tokenizer_digest(tokenizer),
            vocabulary_size=OverviewTokenizer.load(tokenizer).vocabulary_size,
            genres=genres,
            splits={split: shard_facts.split_info(shards) for split, shards in facts.items()},
            fingerprint=shard_facts.fingerprint(facts, genres),
            encoders=dict(self.encoders),
        )
        corrupt = corrupt_posters(workspace, self.movies.kept)
        statuses = self.posters.statuses
        report = audit.audit(info, self.movies, statuses, corrupt, self.splits, _presence(facts))
        audit.write(self.out, report)
        plot.write(self.out, report)
        files.write_text(self.out / prepared.INFO_FILE, info.to_json())
        checksums.write(self.out)
        return report

    def _read_shards(self, progress: Progress) -> dict[str, list[ShardFacts]]:
        """Returns the facts of each split's shards, in order; a split without movies is absent."""
        paths = {split: _shard_paths(self.out, split) for split in schema.SPLITS}
        all_paths = [path for split_paths in paths.values() for path in split_paths]
        read_facts = functools.partial(shard_facts.read_facts, num_genres=len(self.movies.genres))
        processes = self.processes if sum(map(files.size, all_paths)) > _INLINE else 1
        facts: dict[str, list[ShardFacts]] = {}
        with (
            progress.bar(self.name, len(all_paths), "shards") as bar,
            workers.ordered_map(read_facts, all_paths, processes) as results,
        ):
            for split, split_paths in paths.items():
                for _ in split_paths:
                    facts.setdefault(split, []).append(next(results))
                    bar.update()
        return facts


def _shard_paths(out: epath.Path, split: str) -> list[str]:
    found = out.glob(f"mmgenre-{split}.tfrecord-*")
    return sorted(str(path) for path in found if prepared.is_shard_name(path.name))


def _lengths(facts: Mapping[str, Sequence[ShardFacts]]) -> dict[str, tuple[list[int], int]]:
    """By split: movies of each shard, and bytes of all Examples."""
    return {
        split: (
            [len(shard.offset) for shard in shards],
            sum(int(shard.length.sum()) for shard in shards),
        )
        for split, shards in facts.items()
    }


def _presence(facts: Mapping[str, Sequence[ShardFacts]]) -> dict[str, dict[str, int]]:
    """By split: how many movies have a poster and an overview."""
    return {
        split: {
            "posters": sum(shard.posters for shard in shards),
            "overviews": sum(shard.overviews for shard in shards),
        }
        for split, shards in facts.items()
    }
