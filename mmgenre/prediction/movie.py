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


@dataclasses.dataclass(frozen=True)
class DecodedPoster:
    """A poster as a model takes it.

    Attributes:
      pixels: <uint8>[64, 64, 3].
      large: <uint8>[side, side, 3], as the model's frozen encoder takes it; None where it has none.
    """

    pixels: np.ndarray
    large: np.ndarray | None = None


Poster = str | os.PathLike[str] | bytes | PIL.Image.Image | np.ndarray | DecodedPoster
"""A file's path, a URL, an image file's bytes, an image that Pillow has opened or made, or decoded
pixels <uint8>[64, 64, 3], which are too few for a model with a frozen encoder of posters."""


@dataclasses.dataclass(frozen=True)
class Movie:
    """A movie as a model takes it.

    Attributes:
      poster: <uint8>[64, 64, 3], or None.
      tokens: <int32>[n] of the overview, none where there is none.
      large: see `DecodedPoster`.
      text: the overview that the tokens are of, for a frozen encoder; "" for none.
    """

    poster: np.ndarray | None
    tokens: np.ndarray
    large: np.ndarray | None = None
    text: str = ""

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
    side: int = 0,
) -> Movie:
    """Returns a movie as a model takes it.

    Args:
      poster: as `Poster` says; None for none.
      overview: None or blank for none.
      encode: overview to tokens <int32>[n].
      number: its place in a list, for errors; None where it stands alone.
      side: of the pictures that the model's encoder takes; 0 where it has none.

    Raises:
      UserError: the poster cannot be read, the overview is too long, or there is neither.
    """
    name = "the poster" if number is None else f"poster {number}"
    decoded = None if poster is None else load_decoded(poster, name, side)
    tokens = encode(overview)  # Which says if it is too long.
    movie = Movie(
        None if decoded is None else decoded.pixels,
        tokens,
        None if decoded is None else decoded.large,
        overview_text.known(overview),
    )
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
    """Returns a poster's pixels <uint8>[64, 64, 3]; see `load_decoded`."""
    return load_decoded(poster, name, 0).pixels


def load_decoded(poster: Poster, name: str, side: int) -> DecodedPoster:
    """Returns a poster as a model takes it.

    Args:
      poster: as `Poster` says.
      name: of one that has neither a path nor an address, for errors.
      side: see `read_movie`.

    Raises:
      UserError: it cannot be read or decoded, or is nothing of these.
    """
    if isinstance(poster, DecodedPoster):
        return poster
    if isinstance(poster, np.ndarray):
        if side:
            raise UserError(
                f"{name} is an array of pixels, too few for the encoder of this model; give the "
                "image file or a PIL.Image"
            )
        if poster.shape != schema.POSTER_SHAPE or poster.dtype != np.uint8:
            raise UserError(
                f"{name} is {poster.dtype} {poster.shape}; decoded pixels are uint8 "
                f"{schema.POSTER_SHAPE}; give others as PIL.Image.fromarray(...)"
            )
        return DecodedPoster(poster)
    try:
        if isinstance(poster, bytes | bytearray):
            return decode(bytes(poster), side)
        if isinstance(poster, PIL.Image.Image):
            large = squeeze_image(poster, side) if side else None
            return DecodedPoster(squeeze_image(poster), large)
        if not isinstance(poster, str | os.PathLike):
            raise UserError(
                f"{name} is of type {type(poster).__name__}; give a path, an address, the bytes of "
                "an image file, an image of Pillow or a NumPy array"
            )
        name = f"the poster {poster}"
        return decode(read_poster(poster), side)
    except PosterError as error:
        raise UserError(f"{name} cannot be used: {error}") from error


def decode(data: bytes, side: int, *, isolated: bool = False) -> DecodedPoster:
    """Decodes an image file as `decode_poster` does, and for an encoder; `side` as `read_movie`."""
    large = decode_poster(data, isolated=isolated, side=side) if side else None
    return DecodedPoster(decode_poster(data, isolated=isolated), large)
