"""Stage 5, tokenise: the vocabulary, from the overviews of the train split alone."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from etils import epath

from data_prep.splits import split
from data_prep.workspace import movie_file as movies
from data_prep.workspace import storage
from data_prep.workspace.progress import Progress
from mmgenre import schema
from mmgenre.dataset.prepared import TOKENIZER_FILE
from mmgenre.inputs.tokenizer import OverviewTokenizer

STAGE: Final = "tokenise"
_VERSION: Final = 1


def tokenise(
    workspace: storage.Workspace,
    inputs: str,
    vocabulary_size: int,
    given: epath.PathLike | None,
    progress: Progress,
) -> str:
    """Puts `tokenizer.json` into the workspace; skipped where that is done.

    Args:
      workspace: holds movies and splits; gets the tokenizer.
      inputs: digest of both.
      vocabulary_size: of the tokenizer that is trained.
      given: an existing tokenizer that is copied instead of training one.
      progress: shown while training.

    Returns:
      SHA-256 of the tokenizer's file.

    Raises:
      UserError: `given` is missing or damaged.
    """
    if given is not None:
        OverviewTokenizer.load(given)  # Raises where it is none.
        key = storage.digest(STAGE, _VERSION, epath.Path(given).read_text("utf-8"))
    else:
        key = storage.digest(STAGE, _VERSION, inputs, vocabulary_size)
    path = workspace.path / TOKENIZER_FILE
    outcome = workspace.outcome(STAGE, key)
    if outcome is not None and path.exists():
        progress.skipped(STAGE)
        return outcome["sha256"]
    if given is not None:
        data = epath.Path(given).read_bytes()
        with storage.atomic_write(path) as file:
            file.write(data)
    else:
        OverviewTokenizer.train(_train_overviews(workspace, progress), vocabulary_size).save(path)
    sha256 = storage.file_digest(path)
    workspace.finish(STAGE, key, {"sha256": sha256})
    return sha256


def _train_overviews(workspace: storage.Workspace, progress: Progress) -> Iterator[str]:
    with (workspace.path / split.SPLIT_FILE).open("rb") as file:
        assignment = np.load(file)
    train = schema.SPLITS.index(schema.TRAIN)
    with (
        movies.MovieFile(workspace.path) as movie_file,
        progress.bar(STAGE, len(movie_file), "movies") as bar,
    ):
        for number, movie in enumerate(movie_file):
            bar.update()
            if assignment[number] == train:
                yield movie.overview
