"""`python -m mmgenre.inputs.decoder_child`: decodes pictures under limits, for its parent.

Takes requests on stdin until it is closed, and answers each on stdout. It ends in the midst of one
that takes too long: that is what it is there for. Imports Pillow only, to be there soon.
"""

import pickle
import struct
import sys
from typing import BinaryIO, Final

from mmgenre.inputs import image_pixels
from mmgenre.inputs.image_file import ImageFile
from mmgenre.inputs.image_kinds import LimitError, PosterError
from mmgenre.machine import limits

SECONDS: Final = 10.0
"""Processor time for a picture; 64 million pixels take up to 3 seconds."""

MEMORY: Final = 1 << 30
"""Bytes for a picture, beside what the process has before."""

REQUEST: Final = struct.Struct("<HQ")
"""Pixels in each direction of the result, and the length of the pickled `ImageFile` behind it."""

ANSWER: Final = struct.Struct("<BI")
"""What came of it, and the length of the pixels or the reason behind it."""

DECODED, DAMAGED, BEYOND_LIMITS = range(3)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        side, length = REQUEST.unpack(head)
        outcome, content = _decode(requests.read(length), side)
        answers.write(ANSWER.pack(outcome, len(content)) + content)
        answers.flush()


def _decode(request: bytes, side: int) -> tuple[int, bytes]:
    try:
        file: ImageFile = pickle.loads(request)
        with limits.deadline(SECONDS):
            return DECODED, image_pixels.decode(file, side)
    except (LimitError, MemoryError):
        return BEYOND_LIMITS, b"it takes too much memory"
    except PosterError as error:
        return DAMAGED, str(error).encode()


def main() -> None:
    """The command."""
    limits.limit_memory(MEMORY)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
