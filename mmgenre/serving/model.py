"""The model that a server answers with: a run's, or an exported bundle's."""

import sys
from pathlib import Path

import numpy as np

from mmgenre.machine.progress import phase
from mmgenre.prediction.bundle import MANIFEST
from mmgenre.prediction.bundle_predictor import BundlePredictor
from mmgenre.prediction.movie import Movie
from mmgenre.prediction.predictor import BATCH_SIZES, GenrePredictor

Model = GenrePredictor | BundlePredictor


def open_model(path: str) -> Model:
    """Opens a run, or a bundle that `mmgenre.export` has made.

    Raises:
      UserError: it is neither, or a file is missing or damaged.
    """
    if (Path(path) / MANIFEST).exists():
        return BundlePredictor.open(Path(path))
    return GenrePredictor.load(path)


def compile_all(model: Model) -> None:
    """Has the model answer batches of each shape that there can be, so that no client waits for it.

    A terminal shows how far it is.
    """
    shapes = [(size, length) for size in BATCH_SIZES for length in model.bucket_lengths]
    with phase("compiling", len(shapes), "shapes", shown=sys.stderr.isatty()) as bar:
        for size, length in shapes:
            model.answer_movies([Movie(None, np.ones(length, np.int32))] * size)
            bar.update()
