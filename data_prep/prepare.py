"""`python -m data_prep.prepare`: from metadata and posters to a prepared data set."""

import argparse
import dataclasses
import os
from typing import Any

from etils import epath

from data_prep import storage
from data_prep.progress import Progress
from mmgenre import prepared_dataset, schema
from mmgenre.errors import UserError, run_command
from mmgenre.prepared_dataset import PreparedDataset


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, and how.

    Attributes:
      metadata: `movies_metadata.csv`, or the gzip or zip of it.
      posters: a folder laid out like the image server, or its address.
      out: folder of the data set.
      name: of the data set, in logs and reports; default: the out folder's.
      width: of the posters, one of `folder.WIDTHS`.
      require: what a movie must have to be kept: "overview", "poster", "both" or "any".
      seed: of the split.
      all_to: a split that gets every movie; None splits.
      tokenizer: an existing tokenizer's file; None trains one.
      vocabulary_size: of the tokenizer that is trained.
      max_tokens: where token sequences are cut.
      num_shards: of each split; None decides by size.
      processes: that decode and write; None takes all cores.
      work: folder of the stages' results; None is `.work` in the out folder.
      progress: "auto", "lines" or "none".
    """

    metadata: epath.PathLike
    posters: epath.PathLike
    out: epath.PathLike
    name: str | None = None
    width: str = "w154"
    require: str = "overview"
    seed: int = 0
    all_to: str | None = None
    tokenizer: epath.PathLike | None = None
    vocabulary_size: int = 20_000
    max_tokens: int = 512
    num_shards: int | None = None
    processes: int | None = None
    work: epath.PathLike | None = None
    progress: str = "auto"


def prepare(config: PrepareConfig) -> PreparedDataset:
    """Runs all stages, each only where its inputs have changed, and opens the result.

    Raises:
      UserError: an input is missing, damaged or of no use, or the options do not fit together.
    """
    from data_prep import audit, decode, folder, index, read, split, tokenise, workers, write

    _check(config)
    progress = Progress(config.progress)
    processes = config.processes or workers.num_cores()
    out = epath.Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error.strerror or error}") from error
    workspace = storage.Workspace(config.work or out / ".work")
    rows = read.read(config.metadata, workspace, config.require, progress)
    source = folder.Folder(config.posters, config.width)
    statuses = decode.decode(workspace, source.locate, processes, progress)
    digest = storage.digest(rows.digest, decode.fingerprint(workspace))
    splits = split.split(workspace, digest, config.require, config.seed, config.all_to, progress)
    digest = storage.digest(digest, splits.digest)
    tokenizer_digest = tokenise.tokenise(
        workspace, digest, config.vocabulary_size, config.tokenizer, progress
    )
    digest = storage.digest(digest, tokenizer_digest)
    digest = write.write(
        workspace, out, digest, config.max_tokens, config.num_shards, processes, progress
    )
    name = config.name or out.resolve().name
    info, presence = index.index(
        out, name, workspace.path / prepared_dataset.TOKENIZER_FILE, processes, progress
    )
    report = audit.audit(info, rows, statuses, splits, presence)
    audit.write(out, report)
    index.write_info(out, info)
    if config.progress != "none":
        print(audit.table(report))
    return prepared_dataset.open_dataset(out)


def _check(config: PrepareConfig) -> None:
    if config.all_to == schema.TEST and config.tokenizer is None:
        raise UserError(
            "--all-to test needs --tokenizer: a vocabulary must not be built from held-out movies; "
            "give the tokenizer.json of the data set that the model was trained on"
        )


def parse_args(arguments: list[str] | None = None) -> PrepareConfig:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.prepare", description=__doc__)
    parser.add_argument("--metadata", required=True)
    parser.add_argument("--posters", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name")
    parser.add_argument("--width", default="w154")
    parser.add_argument(
        "--require", default="overview", choices=("both", "overview", "poster", "any")
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all-to", choices=schema.SPLITS)
    parser.add_argument("--tokenizer")
    parser.add_argument("--vocabulary-size", type=int, default=20_000)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--num-shards", type=int)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--work")
    parser.add_argument("--progress", choices=("auto", "lines", "none"), default="auto")
    values: dict[str, Any] = vars(parser.parse_args(arguments))
    return PrepareConfig(**values)


def main() -> None:
    """The command."""
    prepare(parse_args())


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run_command(main)
