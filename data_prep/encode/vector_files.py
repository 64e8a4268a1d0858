"""The vectors of a workspace's movies, by their numbers: a file for each feature."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files

FOLDER: Final = "vectors"


def vectors_path(workspace: epath.PathLike, feature: str) -> epath.Path:
    """The file of a feature's vectors: <float16>[movies, size], one after the other."""
    return epath.Path(workspace) / FOLDER / f"{feature}.f16"


def open_vectors(
    workspace: epath.PathLike, vector_sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Maps the vectors of all movies <float16>[movies, size] by feature; raises UserError."""
    opened: dict[str, np.ndarray] = {}
    for feature, size in vector_sizes.items():
        path = vectors_path(workspace, feature)
        try:
            opened[feature] = files.map_bytes(path).view("<f2").reshape((-1, size))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged ({error}); delete {path.parent} and run again"
            ) from error
    return opened
