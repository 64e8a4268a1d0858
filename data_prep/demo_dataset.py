"""The built-in data set: the demo corpus, prepared like any other, where it is first needed."""

import os

from etils import epath

from data_prep.demo.corpus import write_demo_corpus
from data_prep.prepare import PrepareConfig, prepare
from mmgenre.dataset.prepared import INFO_FILE

NAME = "built-in demo corpus"


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
        corpus = folder / "corpus"
        if not corpus.exists():
            # Written elsewhere and renamed: processes that start together do not collide.
            temporary = folder / f"corpus.{os.getpid()}"
            write_demo_corpus(temporary)
            if not corpus.exists():
                temporary.rename(corpus)
        prepare(
            PrepareConfig(
                metadata=corpus / "movies_metadata.csv",
                posters=corpus / "posters",
                out=prepared,
                name=NAME,
            )
        )
    return prepared
