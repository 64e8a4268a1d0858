"""`python -m data_prep.prepare`: from metadata and posters to a prepared data set.

Runs the stages one after the other. Each leaves its result in the workspace and is skipped when its
inputs have not changed, so the command may be killed and run again at any moment.
"""

from etils import epath

from data_prep.options import PrepareConfig, check, encoder_specs, parse_args
from data_prep.workspace.progress import Progress
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.encoders.encoder_info import vector_sizes
from mmgenre.errors import UserError
from mmgenre.machine import files, folder_kinds, special_files
from mmgenre.machine.command_line import run_command

__all__ = ["PrepareConfig", "prepare"]


def prepare(config: PrepareConfig, progress: Progress | None = None) -> PreparedDataset:
    """Runs all stages, each only where its inputs have changed, and opens the result.

    Args:
      config: what to prepare, and how.
      progress: where stages report to; None makes one of `config.progress`.

    Raises:
      UserError: an input is missing, damaged or unusable, or the options do not fit together.
    """
    check(config)
    # Late, so that the command line answers at once.
    from data_prep import stage_choice
    from data_prep.encode import known_encoder
    from data_prep.encode.encode import EncodePlan
    from data_prep.metadata.read import Read
    from data_prep.shards import audit
    from data_prep.shards.index import Index
    from data_prep.shards.write import ShardPlan
    from data_prep.splits.split import Split
    from data_prep.splits.tokenise import Tokenise
    from data_prep.workspace import workers
    from data_prep.workspace.stages import Workspace, combined, make_folder
    from mmgenre.catalogue.columns import parse_columns

    config = stage_choice.with_own_posters(config)
    progress = progress or Progress(config.progress)
    processes = config.processes or workers.num_cores()
    special_files.refuse_in(config.out, "--out", recursive=False)
    folder_kinds.require(config.out, folder_kinds.DATASET, "--out")
    out = make_folder(config.out)
    files.sweep(out)
    name = config.name or (out if files.is_remote(out) else out.resolve()).name
    with Workspace(_work_folder(config, out), progress) as workspace:
        do = workspace.do
        movies = do(
            Read(
                config.metadata,
                config.require,
                parse_columns(config.columns),
                config.genres,
                config.min_genre_movies,
                config.label_corrections,
            )
        )
        if stage_choice.needs_fetching(config):
            do(stage_choice.fetch(config))
        posters = do(stage_choice.decode(config, processes))
        _warn_of_missing_posters(config, posters.statuses, progress)
        inputs = combined(movies, posters)
        splits = do(
            Split(
                inputs,
                config.require,
                config.seed,
                config.all_to,
                movies.has_split,
                config.keep_franchises,
            )
        )
        inputs = combined(movies, posters, splits)
        encoders = {
            feature: known_encoder.find(workspace, spec, feature)
            for feature, spec in encoder_specs(config).items()
        }
        encoding = EncodePlan(inputs, encoders)
        encoded = [do(stage_choice.encode(config, encoding))] if encoders else []
        tokenizer = do(Tokenise(inputs, config.vocabulary_size, config.tokenizer))
        inputs = combined(movies, posters, splits, tokenizer, *encoded)
        infos = {name: encoder.info for name, encoder in encoders.items()}
        num_genres = len(movies.genres)
        plan = ShardPlan(
            out, inputs, config.max_tokens, config.num_shards, num_genres, vector_sizes(infos)
        )
        do(stage_choice.write(config, plan, processes))
        report = do(Index(out, name, plan.key(), movies, posters, splits, processes, infos))
    progress.result(audit.table(report))
    return open_dataset(out)


def _work_folder(config: PrepareConfig, out: epath.Path) -> epath.PathLike:
    work = epath.Path(config.work) if config.work is not None else out / ".work"
    if work == out:
        raise UserError(f"--work is {work}, which is --out, too; leave it out or choose another")
    if config.runner is None and files.is_remote(work):
        raise UserError(
            f"the workspace {work} would be in an object store; without --runner it must be on a "
            "local disk: give a folder with --work"
        )
    return work


def _warn_of_missing_posters(
    config: PrepareConfig, statuses: dict[str, int], progress: Progress
) -> None:
    from data_prep.posters.http_client import NO_SERVER
    from data_prep.posters.poster_source import NO_PATH, NOT_ASKED
    from data_prep.workspace.pixel_parts import FOUND

    found = statuses.get(FOUND, 0)
    left_out = statuses.get(NOT_ASKED, 0) + statuses.get(NO_SERVER, 0)
    asked = sum(statuses.values()) - statuses.get(NO_PATH, 0) - left_out
    if left_out:
        progress.note(
            f"{left_out:,} movies name a poster that is not asked for; give a folder, or the "
            "address of an image server, with --posters; --fetch-posters fetches whole addresses"
        )
    if found < asked / 2:
        place = "their addresses" if config.posters is None else config.posters
        progress.note(f"warning: only {found:,} of {asked:,} posters are available from {place}")


def main() -> None:
    """The command."""
    prepare(parse_args())


if __name__ == "__main__":
    run_command(main, kept="what the stages have finished is kept")
