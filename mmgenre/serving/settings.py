"""What a server allows: sizes, numbers, times."""

import dataclasses
from typing import Final

from mmgenre.errors import UserError
from mmgenre.inputs import overview_text
from mmgenre.inputs.poster_decoder import MAX_BYTES, MAX_PIXELS

MAX_BATCH: Final = 64
"""Movies that are answered together at the most, and that a request may have."""

_RANGES: Final = {
    "batch_ms": (0.0, 1_000.0),
    "queue": (1, 10_000),
    "timeout_s": (0.01, 3_600.0),
    "max_movies": (1, MAX_BATCH),
    "max_body_mib": (1, 1_024),
    "max_poster_mib": (1, MAX_BYTES >> 20),
    "max_pixels": (1, MAX_PIXELS),
    "max_characters": (1, overview_text.MAX_CHARACTERS),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The limits of a server.

    Attributes:
      batch_ms: milliseconds that the first movie of a batch waits for others.
      queue: requests that are received, wait or are answered at once; those above are told to
        come again.
      timeout_s: seconds that a request may take once it has come in.
      max_movies: of a request.
      max_body_mib: MiB of a request.
      max_poster_mib: MiB of a poster's file.
      max_pixels: of a request's posters, together.
      max_characters: of an overview.
    """

    batch_ms: float = 5.0
    queue: int = 128
    timeout_s: float = 30.0
    max_movies: int = MAX_BATCH
    max_body_mib: int = 16
    max_poster_mib: int = 10
    max_pixels: int = MAX_PIXELS
    max_characters: int = 20_000

    def __post_init__(self) -> None:
        """Checks the values; raises UserError."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} is {value}; it must be from {least:,} to {most:,}")

    @property
    def max_bytes_together(self) -> int:
        """Bytes of all requests that are there at once."""
        return max(256, self.max_body_mib) << 20
