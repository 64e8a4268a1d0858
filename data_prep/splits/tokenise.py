"""Stage 6, tokenise: the vocabulary, from the overviews of the train split alone."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from etils import epath

from data_prep.splits import split
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, digest, file_digest
from mmgenre import schema
from mmgenre.dataset.prepared import TOKENIZER_FILE
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.machine import files

_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class Tokenised:
    """What tokenising came to.

    Attributes:
      sha256: of the tokenizer's file.
    """

    sha256: str

    @property
    def digest(self) -> str:
        """See `stages.HasDigest`."""
        return self.sha256


@dataclasses.dataclass(frozen=True)
class Tokenise(Stage[Tokenised]):
    """Puts `tokenizer.json` into the workspace.

    Attributes:
      inputs: digest of movies and splits.
      vocabulary_size: of the tokenizer that is trained.
      given: an existing tokenizer that is copied instead of training one.
    """

    inputs: str
    vocabulary_size: int
    given: epath.PathLike | None = None
    name: ClassVar[str] = "tokenise"
    outcome_type: ClassVar[type[Tokenised]] = Tokenised

    def key(self) -> str:
        """Raises UserError where `given` is missing or damaged."""
        if self.given is None:
            return digest(self.name, _VERSION, self.inputs, self.vocabulary_size)
        OverviewTokenizer.load(self.given)  # Raises where it is none.
        return digest(self.name, _VERSION, epath.Path(self.given).read_text("utf-8"))

    def is_whole(self, workspace: Workspace, outcome: Tokenised) -> bool:
        """See `Stage`."""
        del outcome
        return (workspace.path / TOKENIZER_FILE).exists()

    def run(self, workspace: Workspace, progress: Progress) -> Tokenised:
        """See `Stage`."""
        path = workspace.path / TOKENIZER_FILE
        if self.given is not None:
            files.write_bytes(path, epath.Path(self.given).read_bytes())
        else:
            overviews = _train_overviews(workspace, progress)
            OverviewTokenizer.train(overviews, self.vocabulary_size).save(path)
        return Tokenised(file_digest(path))


def _train_overviews(workspace: Workspace, progress: Progress) -> Iterator[str]:
    with (workspace.path / split.SPLIT_FILE).open("rb") as file:
        assignment = np.load(file)
    train = schema.SPLITS.index(schema.TRAIN)
    with (
        MovieFile(workspace.path) as movies,
        progress.bar(Tokenise.name, len(movies), "movies") as bar,
    ):
        for number, movie in enumerate(movies):
            bar.update()
            if assignment[number] == train:
                yield movie.overview
