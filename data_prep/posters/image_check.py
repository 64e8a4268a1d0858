"""Check that bytes which a server sent are a whole image: a quick look, and a decoder in doubt."""

from typing import Final

from mmgenre.inputs import poster_decoder

_TAIL: Final = 32


def problem(data: bytes) -> str:
    """Returns "" for a whole image, or what is wrong with it in a few words.

    Looks at the end mark of the file's kind, which takes a microsecond; what has none where it
    belongs (some programs append to JPEGs) is decoded, which decides.
    """
    if looks_whole(data):
        return ""
    try:
        poster_decoder.decode_poster(data)
    except poster_decoder.PosterError as error:
        return str(error)
    return ""


def looks_whole(data: bytes) -> bool:
    """Whether the end mark of the file's kind is where it belongs."""
    if data.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" in data[-_TAIL:]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" in data[-_TAIL:]
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return False
