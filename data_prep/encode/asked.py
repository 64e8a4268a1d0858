"""What encoders are asked: the overviews and posters of the movies that are kept, with their keys.

By parts of the workspace, as its pixels are: here one after the other, on Beam each by itself.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from data_prep.encode.vector_cache import key_of
from data_prep.posters.poster_source import Locate
from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import MovieFile
from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.inputs import poster_decoder
from mmgenre.inputs.poster_decoder import PosterError

Asked = tuple[int, bytes, Any]
"""A movie's number, the key of its text or picture, and the text or the picture's file."""


def asked_of_part(
    feature: str,
    workspace: epath.PathLike,
    part: int,
    movies: MovieFile,
    kept: np.ndarray,
    locate: Locate,
    threads: Executor,
) -> Iterator[Asked]:
    """Yields what the encoder of a feature is asked of the movies of a part.

    Args:
      feature: of `schema.VECTORS`.
      workspace: folder of the stages' results.
      part: of the workspace.
      movies: of the workspace.
      kept: <bool>[movies].
      locate: finds posters.
      threads: that read posters' files.

    Raises:
      UserError: a poster is not available any more.
    """
    numbers = pixel_parts.part_range(part, len(movies))
    chosen = zip(numbers, movies.range(numbers.start, numbers.stop), strict=True)
    if feature == schema.OVERVIEW_VECTOR:
        for number, movie in chosen:
            if kept[number] and movie.overview:
                yield number, key_of(movie.overview.encode("utf-8")), movie.overview
        return
    # The posters that were decoded: placeholders and damaged ones are none here, too.
    status = pixel_parts.require_part(workspace, part).status
    found = [
        (number, locate(movie)[0])
        for (number, movie), said in zip(chosen, status, strict=True)
        if kept[number] and said == pixel_parts.FOUND
    ]
    keys = threads.map(lambda path: key_of(_read(path)), [path for _, path in found])
    for (number, path), key in zip(found, keys, strict=True):
        yield number, key, path


def loader(side: int) -> Callable[[Any], Any]:
    """Returns what makes an encoder's input of what is asked: a text, or a picture from its file.

    Args:
      side: height and width of the pictures; 0 for texts.
    """
    if not side:
        return str

    def load(path: str) -> Image.Image:
        try:
            return Image.fromarray(poster_decoder.decode_poster(_read(path), side=side))
        except PosterError as error:
            raise UserError(f"the poster {path} cannot be encoded: {error}") from error

    return load


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"the poster {path!r} was there when it was decoded, and cannot be read now "
            f"({error.strerror}); run again"
        ) from error
