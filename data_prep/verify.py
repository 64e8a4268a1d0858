"""`python -m data_prep.verify <dir>`: whether a prepared data set is exactly what was written.

Reads every shard and checks each record's CRCs, features, shapes, ranges and token ids, the counts
against the data set's own metadata, the record index, the checksums of the files beside the shards,
and that no movie and no copy of one is in two splits. Exit code 0 when all is well, 1 with a line
for each thing that is not, 2 when the folder is no prepared data set.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
from etils import epath

from data_prep.shards import checksums, shard_facts, verify_shard
from data_prep.shards.verify_shard import ShardReport, VerifyTask
from data_prep.workspace import workers
from data_prep.workspace.progress import Progress
from mmgenre import schema
from mmgenre.dataset import prepared
from mmgenre.dataset.prepared import DatasetInfo, PreparedDataset, RecordIndex
from mmgenre.errors import UserError
from mmgenre.inputs.tokenizer import tokenizer_digest
from mmgenre.machine import special_files
from mmgenre.machine.command_line import ArgumentParser, run_command
from mmgenre.machine.json_files import read_json

_MAX_LINES: Final = 50


def verify(path: epath.PathLike, processes: int | None = None, progress: str = "none") -> list[str]:
    """Checks a prepared data set.

    Memory: 24 bytes a movie, to find copies in different splits.

    Args:
      path: of the data set.
      processes: that read shards; None takes all cores.
      progress: see `Progress`.

    Returns:
      What is wrong, a line each; empty when all is well.

    Raises:
      UserError: there is no prepared data set of this program's schema at `path`.
    """
    path = epath.Path(path)
    special_files.refuse_endless_in(path, recursive=False)
    problems = list(checksums.check(path))
    try:
        info = DatasetInfo.from_fields(read_json(path / prepared.INFO_FILE))
    except (OSError, ValueError) as error:
        if problems:  # It was a data set; its description is damaged.
            return problems
        raise UserError(
            f"{path} is not a prepared data set; prepare one with python -m data_prep.prepare"
        ) from error
    if info.schema_version != prepared.SCHEMA_VERSION:
        raise UserError(f"{path} has schema version {info.schema_version}; prepare it again")
    dataset = PreparedDataset(path, info)
    try:
        tokenizer_ok = tokenizer_digest(dataset.tokenizer_path) == info.tokenizer_sha256
    except OSError:
        tokenizer_ok = False
    if not tokenizer_ok:
        problems.append("tokenizer.json is not the one that the data set was written with")
    problems += _check_files(dataset)
    tokenizer = str(dataset.tokenizer_path) if tokenizer_ok else ""
    tasks = [
        VerifyTask(str(shard), tokenizer, size, len(info.genres), info.vector_sizes)
        for split, split_info in info.splits.items()
        for shard, size in zip(dataset.shard_paths(split), split_info.shard_sizes, strict=True)
    ]
    reports: dict[str, list[ShardReport]] = {split: [] for split in info.splits}
    with (
        Progress(progress).bar("verify", len(tasks), "shards") as bar,
        workers.ordered_map(
            verify_shard.verify_shard, tasks, processes or workers.num_cores()
        ) as results,
    ):
        for split in info.splits:
            for _ in info.splits[split].shard_sizes:
                reports[split].append(next(results))
                bar.update()
    for split_reports in reports.values():
        for report in split_reports:
            problems += report.problems
    problems += _check_counts(dataset, reports)
    if not _leaks_are_known(dataset):
        problems += _check_leaks(reports)
    return problems


def _check_files(dataset: PreparedDataset) -> Iterator[str]:
    """Files that should not be there, and TFDS's own idea of the shards."""
    expected = {shard.name for split in dataset.info.splits for shard in dataset.shard_paths(split)}
    for found in dataset.path.glob("mmgenre-*.tfrecord-*"):
        if found.name not in expected:
            yield f"{found.name} does not belong to the data set"
    try:
        tfds_info = read_json(dataset.path / "dataset_info.json")
        lengths = {
            split["name"]: sum(map(int, split["shardLengths"])) for split in tfds_info["splits"]
        }
    except (OSError, ValueError, LookupError, TypeError) as error:
        yield f"dataset_info.json is missing or damaged ({error})"
        return
    counts = {name: split.num_movies for name, split in dataset.info.splits.items()}
    if lengths != counts:
        yield f"dataset_info.json counts {lengths} movies, dataset.json {counts}"


def _check_counts(dataset: PreparedDataset, reports: dict[str, list[ShardReport]]) -> Iterator[str]:
    facts = {split: [report.facts for report in found] for split, found in reports.items()}
    for split, shards in facts.items():
        found, expected = shard_facts.split_info(shards), dataset.info.splits[split]
        if found.num_movies != expected.num_movies:
            yield (
                f"{split} has {found.num_movies:,} movies, dataset.json says "
                f"{expected.num_movies:,}"
            )
        if found.genre_counts != expected.genre_counts:
            yield f"{split}: the genres' counts are not those of dataset.json"
        yield from _check_index(dataset, split, shard_facts.record_index(shards))
    if shard_facts.fingerprint(facts, dataset.info.genres) != dataset.info.fingerprint:
        yield "the records' contents do not have the fingerprint of dataset.json"


def _check_index(dataset: PreparedDataset, split: str, found: RecordIndex) -> Iterator[str]:
    try:
        index = dataset.index(split)
    except UserError as error:
        yield str(error)
        return
    names = [field.name for field in dataclasses.fields(RecordIndex)]
    if not all(np.array_equal(getattr(index, name), getattr(found, name)) for name in names):
        yield f"{prepared.INDEX_FILE} does not fit the records of {split}"


def _leaks_are_known(dataset: PreparedDataset) -> bool:
    """Whether the audit names them: of a split that the catalogue brought, which is kept."""
    try:
        audit = read_json(dataset.path / prepared.AUDIT_FILE)
        return bool(audit["copies"].get("across_the_catalogues_splits"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _check_leaks(reports: dict[str, list[ShardReport]]) -> Iterator[str]:
    """Movies that are twice in the data set, and copies in two splits."""
    splits = list(reports)
    for kind in ("id", "overview", "poster"):
        keys = [np.concatenate([r.keys[kind] for r in reports[split]]) for split in splits]
        split_of = np.repeat(np.arange(len(splits)), list(map(len, keys)))
        key = np.concatenate(keys)
        split_of, key = split_of[key != 0], key[key != 0]
        order = np.lexsort((split_of, key))
        key, split_of = key[order], split_of[order]
        same = key[1:] == key[:-1]
        if kind == "id" and same.any():
            yield f"{int(same.sum()):,} ids are there more than once"
        leaks = same & (split_of[1:] != split_of[:-1])
        for here, there in sorted(set(zip(split_of[:-1][leaks], split_of[1:][leaks], strict=True))):
            count = int((leaks & (split_of[:-1] == here) & (split_of[1:] == there)).sum())
            yield f"leak: {splits[here]} and {splits[there]} share {count:,} movies by {kind}"


def summary(path: epath.PathLike) -> str:
    """One line on a data set that is well."""
    info = prepared.open_dataset(path).info
    counts = ", ".join(
        f"{split.num_movies:,} {name} in {len(split.shard_sizes)} shards"
        for name, split in info.splits.items()
        if name in schema.SPLITS
    )
    return f"{path}: all well: {counts}"


def main() -> int:
    """The command."""
    parser = ArgumentParser(
        module="data_prep.verify", description="Checks every record of a prepared data set."
    )
    parser.add_argument("path", help="folder of the data set")
    parser.add_argument(
        "--processes", type=int, help="number of processes that read shards (default: one per core)"
    )
    parser.add_argument(
        "--progress",
        choices=("auto", "lines", "none"),
        default="auto",
        help="progress display: bars or lines, always lines, or none",
    )
    options = parser.parse_args()
    problems = verify(options.path, options.processes, options.progress)
    for problem in problems[:_MAX_LINES]:
        print(problem)
    if len(problems) > _MAX_LINES:
        print(f"... and {len(problems) - _MAX_LINES:,} more")
    if not problems:
        print(summary(options.path))
    return 1 if problems else 0


if __name__ == "__main__":
    run_command(main)
