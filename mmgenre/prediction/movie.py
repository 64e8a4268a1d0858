"""A movie as a model takes it: the poster's pixels and the overview's tokens, read and checked."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import PIL.Image

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.inputs import overview_text
from mmgenre.inputs.poster_decoder import PosterError, decode_poster, squeeze_image
from mmgenre.inputs.poster_source import read_poster
from mmgenre.inputs.tokenizer import OverviewTokenizer

Poster = str | os.PathLike[str] | bytes | PIL.Image.Image | np.ndarray
"""A file's path, a URL, an image file's bytes, an image that Pillow has opened or made, or decoded
pixels <uint8>[64, 64, 3]."""


@dataclasses.dataclass(frozen=True)
class Movie:
    """A movie as a model takes it.

    Attributes:
      poster: <uint8>[64, 64, 3], or None.
      tokens: <int32>[n] of the overview, none where there is none.
    """

    poster: np.ndarray | None
    tokens: np.ndarray

    @property
    def has_poster(self) -> bool:
        """Whether there is a poster."""
        return self.poster is not None

    @property
    def has_overview(self) -> bool:
        """Whether there is an overview that says something."""
        return len(self.tokens) > 0


def read_movie(
    poster: Poster | None,
    overview: str | None,
    encode: Callable[[str | None], np.ndarray],
    *,
    number: int | None = None,
) -> Movie:
    """Returns a movie as a model takes it.

    Args:
      poster: as `Poster` says; None for none.
      overview: None or blank for none.
      encode: overview to tokens <int32>[n].
      number: its place in a list, for errors; None where it stands alone.

    Raises:
      UserError: the poster cannot be read, the overview is too long, or there is neither.
    """
    name = "the poster" if number is None else f"poster {number}"
    pixels = None if poster is None else load_poster(poster, name)
    movie = Movie(pixels, encode(overview))
    if not movie.has_poster and not movie.has_overview:
        named = "the movie" if number is None else f"movie {number}"
        said = " (its overview says nothing)" if (overview or "").strip() else ""
        raise UserError(f"{named} has neither a poster nor an overview{said}; give at least one")
    return movie


def encode(tokenizer: OverviewTokenizer, overview: str | None, max_tokens: int) -> np.ndarray:
    """Returns the tokens <int32>[n] of an overview, at most `max_tokens`.

    None where there is no overview to read: "No overview found." says as little as "".

    Raises:
      UserError: it is longer than `overview_text.MAX_CHARACTERS`.
    """
    if overview is not None and len(overview) > overview_text.MAX_CHARACTERS:
        raise UserError(
            f"the overview is too long: {len(overview):,} characters, at most "
            f"{overview_text.MAX_CHARACTERS:,} are read"
        )
    return tokenizer.encode(overview_text.known(overview))[:max_tokens]


def load_poster(poster: Poster, name: str = "the poster") -> np.ndarray:
    """Returns a poster's pixels <uint8>[64, 64, 3].

    Args:
      poster: as `Poster` says.
      name: of one that has neither a path nor an address, for errors.

    Raises:
      UserError: it cannot be read or decoded, or is nothing of these.
    """
    if isinstance(poster, np.ndarray):
        if poster.shape != schema.POSTER_SHAPE or poster.dtype != np.uint8:
            raise UserError(
                f"{name} is {poster.dtype} {poster.shape}; decoded pixels are uint8 "
                f"{schema.POSTER_SHAPE}; give others as PIL.Image.fromarray(...)"
            )
        return poster
    try:
        if isinstance(poster, bytes | bytearray):
            return decode_poster(bytes(poster))
        if isinstance(poster, PIL.Image.Image):
            return squeeze_image(poster)
        if not isinstance(poster, str | os.PathLike):
            raise UserError(
                f"{name} is of type {type(poster).__name__}; give a path, an address, the bytes of "
                "an image file, an image of Pillow or a NumPy array"
            )
        name = f"the poster {poster}"
        return decode_poster(read_poster(poster))
    except PosterError as error:
        raise UserError(f"{name} cannot be used: {error}") from error
