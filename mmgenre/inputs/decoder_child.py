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
from mmgenre.inputs.image_kinds import PosterError
from mmgenre.machine import limits

SECONDS: Final = 10.0
"""Processor time for a picture; 64 million pixels take up to 3 seconds."""

MEMORY: Final = 1 << 30
"""Bytes for a picture, beside what the process has before."""

REQUEST: Final = struct.Struct("<BQ")
"""Pixels in each direction of the result, and the length of the pickled `ImageFile` behind it."""

ANSWER: Final = struct.Struct("<?I")
"""Whether it was decoded, and the length of the pixels or the reason behind it."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        side, length = REQUEST.unpack(head)
        done, content = _decode(requests.read(length), side)
        answers.write(ANSWER.pack(done, len(content)) + content)
        answers.flush()


def _decode(request: bytes, side: int) -> tuple[bool, bytes]:
    try:
        file: ImageFile = pickle.loads(request)
        with limits.deadline(SECONDS):
            return True, image_pixels.decode(file, side)
    except PosterError as error:
        return False, str(error).encode()
    except MemoryError:
        return False, b"it takes too much memory"


def main() -> None:
    """The command."""
    limits.limit_memory(MEMORY)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
