"""The built-in data set: the demo corpus, prepared like any other, where it is first needed."""

from etils import epath

from data_prep.demo.corpus import write_demo_corpus
from data_prep.prepare import PrepareConfig, prepare
from data_prep.workspace.progress import Progress
from mmgenre.dataset.prepared import DEMO_NAME, INFO_FILE
from mmgenre.errors import UserError
from mmgenre.machine import special_files


def ensure_demo_dataset(folder: epath.PathLike = "data/demo") -> epath.Path:
    """Returns the folder of the prepared demo corpus, making it if it is not there.

    Args:
      folder: gets `corpus/` (metadata and posters) and `prepared/`.

    Raises:
      UserError: the folder cannot be written.
    """
    folder = epath.Path(folder)
    prepared = folder / "prepared"
    if not (prepared / INFO_FILE).exists():
        special_files.refuse_in(folder, "--config.data.dir", recursive=False)
        corpus = folder / "corpus"
        if not corpus.exists():
            try:
                write_demo_corpus(corpus)
            except UserError:
                if not corpus.exists():  # Else another process was faster: with the same corpus.
                    raise
        prepare(
            PrepareConfig(
                metadata=corpus / "movies_metadata.csv",
                posters=corpus / "posters",
                out=prepared,
                name=DEMO_NAME,
            ),
            Progress("bars"),
        )
    return prepared
