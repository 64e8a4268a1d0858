"""The forms of a SPEC, checked before anything heavy is imported; see `load`."""

from typing import Final

from mmgenre import schema
from mmgenre.errors import UserError

OPTIONS: Final = {
    schema.OVERVIEW_VECTOR: "--text-encoder",
    schema.POSTER_VECTOR: "--poster-encoder",
}
"""The option of preparation that asks for a vector, by its feature."""

SENTENCE_TRANSFORMERS: Final = "sentence-transformers"
TIMM: Final = "timm"


def check_spec(spec: str, feature: str) -> None:
    """Raises UserError where `spec` is none; imports nothing."""
    kind, colon, rest = spec.partition(":")
    if not colon or not kind or not rest:
        raise UserError(
            f"{OPTIONS[feature]} is {spec!r}; give sentence-transformers:<name or folder>, "
            "timm:<name>, timm:<name>@<weights file> or <module>:<factory>"
        )
    if kind == TIMM and feature == schema.OVERVIEW_VECTOR:
        raise UserError(f"{OPTIONS[feature]} is {spec!r}, but timm has encoders of pictures alone")
