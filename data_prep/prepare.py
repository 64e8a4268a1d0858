"""`python -m data_prep.prepare`: from metadata and posters to a prepared data set.

Runs the stages one after the other. Each leaves its result in the workspace and is skipped when its
inputs have not changed, so the command may be killed and run again at any moment.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from etils import epath

from data_prep.options import PrepareConfig, check, parse_args
from data_prep.workspace.progress import Progress
from mmgenre.dataset.prepared import TOKENIZER_FILE, PreparedDataset, open_dataset
from mmgenre.errors import UserError
from mmgenre.machine import folder_kinds
from mmgenre.machine.command_line import run_command

if TYPE_CHECKING:
    from data_prep.workspace import storage

__all__ = ["PrepareConfig", "prepare"]


def prepare(config: PrepareConfig, progress: Progress | None = None) -> PreparedDataset:
    """Runs all stages, each only where its inputs have changed, and opens the result.

    Args:
      config: what to prepare, and how.
      progress: where stages report to; None makes one of `config.progress`.

    Raises:
      UserError: an input is missing, damaged or of no use, or the options do not fit together.
    """
    # Late, so that the command line answers at once.
    from data_prep.metadata import read
    from data_prep.posters import decode
    from data_prep.shards import audit, index, plot, write
    from data_prep.splits import split, tokenise
    from data_prep.workspace import storage, workers
    from mmgenre.catalogue.columns import parse_columns
    from mmgenre.catalogue.movie_folder import is_movie_folder, movies_in

    check(config)
    progress = progress or Progress(config.progress)
    processes = config.processes or workers.num_cores()
    folder_kinds.require(config.out, folder_kinds.DATASET, "--out")
    out = storage.make_folder(config.out)
    storage.sweep(out)
    name = config.name or (out if storage.is_remote(out) else out.resolve()).name
    if config.posters is None and is_movie_folder(config.metadata):
        config = dataclasses.replace(config, posters=movies_in(config.metadata))
    with storage.Workspace(_work_folder(config, out)) as workspace:
        rows = read.read(
            config.metadata, workspace, config.require, parse_columns(config.columns), progress
        )
        if config.runner is None:
            _posters(config, workspace, processes, progress)
        else:
            from data_prep.beam import pipeline

            pipeline.decode(workspace, config, progress)
        statuses, digest = decode.status_counts(workspace, rows.kept)
        _warn_of_missing_posters(config, statuses, progress)
        digest = storage.digest(rows.digest, digest)
        splits = split.split(
            workspace,
            digest,
            config.require,
            config.seed,
            config.all_to,
            rows.has_split,
            progress,
        )
        digest = storage.digest(digest, splits.digest)
        tokenizer_digest = tokenise.tokenise(
            workspace, digest, config.vocabulary_size, config.tokenizer, progress
        )
        plan = write.Plan(
            workspace,
            out,
            inputs=storage.digest(digest, tokenizer_digest),
            max_tokens=config.max_tokens,
            num_shards=config.num_shards,
        )
        if config.runner is None:
            write.write(plan, processes, progress)
        else:
            pipeline.write(plan, config, progress)
        key = storage.digest(index.STAGE, index.VERSION, plan.key, name, dataclasses.asdict(rows))
        report = workspace.outcome(index.STAGE, key)
        if report is None or not _is_whole(out, report):
            info, presence = index.index(
                out, name, workspace.path / TOKENIZER_FILE, processes, progress
            )
            corrupt = decode.corrupt_posters(workspace, rows.kept)
            report = audit.audit(info, rows, statuses, corrupt, splits, presence)
            audit.write(out, report)
            plot.write(out, report)
            index.write_info(out, info)
            workspace.finish(index.STAGE, key, report)
        else:
            progress.skipped(index.STAGE)
    progress.result(audit.table(report))
    return open_dataset(out)


def _is_whole(out: epath.Path, report: dict[str, Any]) -> bool:
    try:
        return open_dataset(out).info.fingerprint == report["fingerprint"]
    except UserError:
        return False


def _work_folder(config: PrepareConfig, out: epath.Path) -> epath.PathLike:
    from data_prep.workspace import storage

    work = epath.Path(config.work) if config.work is not None else out / ".work"
    if work == out:
        raise UserError(f"--work is {work}, which is --out, too; leave it out or choose another")
    if config.runner is None and storage.is_remote(work):
        raise UserError(
            f"the workspace {work} would be in an object store; without --runner it must be on a "
            "local disk: give a folder with --work"
        )
    return work


def _warn_of_missing_posters(
    config: PrepareConfig, statuses: dict[str, int], progress: Progress
) -> None:
    from data_prep.posters import poster_folder
    from data_prep.workspace import pixel_parts

    found = statuses.get(pixel_parts.FOUND, 0)
    asked = sum(statuses.values()) - statuses.get(poster_folder.NO_PATH, 0)
    if found < asked / 2:
        progress.note(
            f"warning: only {found:,} of {asked:,} posters are to be had from {config.posters}"
        )


def _posters(
    config: PrepareConfig, workspace: "storage.Workspace", processes: int, progress: Progress
) -> None:
    """Fetches the posters, if they come from a server, and decodes them."""
    from data_prep.posters import decode, fetch, poster_folder
    from data_prep.workspace.movie_file import Movie, MovieFile

    if config.posters is None:
        decode.decode(workspace, lambda movie: ("", poster_folder.NO_PATH), processes, progress)
        return
    if not fetch.is_address(config.posters):
        source = poster_folder.Folder(config.posters, config.width)
        with MovieFile(workspace.path) as movies:
            source.check(movies)
        decode.decode(workspace, source.locate, processes, progress)
        return
    server = fetch.server(config)
    with fetch.open_manifest(workspace, server) as manifest:
        fetch.fetch(workspace, manifest, server, config.ask_again, progress)

        def locate(movie: Movie) -> tuple[str, str]:
            if not movie.poster_path:
                return "", poster_folder.NO_PATH
            return manifest.locate(movie.poster_path) or ("", poster_folder.NOT_FOUND)

        decode.decode(workspace, locate, processes, progress)


def main() -> None:
    """The command."""
    prepare(parse_args())


if __name__ == "__main__":
    run_command(main, kept="what the stages have finished is kept")
