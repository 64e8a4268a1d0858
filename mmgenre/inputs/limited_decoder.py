"""Decoding in a child process whose memory and time are limited, reused for one file after another.

A decoder that needs too much, hangs or crashes there costs one picture and no more.
"""

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from mmgenre.errors import UserError
from mmgenre.inputs import decoder_child
from mmgenre.inputs.image_file import ImageFile
from mmgenre.inputs.image_kinds import LimitError, PosterError

_PATIENCE: Final = 12 * decoder_child.SECONDS
"""Seconds until a child is given up that has not even used up its processor time."""


class LimitedDecoder:
    """Starts the child at the first picture. Safe to use from several threads, which take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def decode(self, file: ImageFile, side: int) -> bytes:
        """Returns the pixels <uint8>[side, side, 3] of a file, RGB.

        Raises:
          PosterError: damaged.
          LimitError: it takes more time or memory than a picture may, or ends the decoder.
          UserError: no process can be started.
        """
        request = pickle.dumps(file)
        with self._lock:
            child = self._started()
            overdue = threading.Timer(_PATIENCE, child.kill)
            overdue.daemon = True
            overdue.start()
            try:
                outcome, content = _ask(child, request, side)
            except (OSError, EOFError) as error:
                self._child = None
                raise LimitError(_how_it_ended(child)) from error
            except BaseException:  # Ctrl-C: its answer would be taken for the next one's.
                self.close()
                raise
            finally:
                overdue.cancel()
        if outcome == decoder_child.DECODED and len(content) == 3 * side * side:
            return content
        kind = PosterError if outcome == decoder_child.DAMAGED else LimitError
        raise kind(content.decode("utf-8", "replace"))

    def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            _end(child)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._owner == os.getpid():
            return self._child
        root = str(Path(decoder_child.__file__).parents[2])
        try:
            self._child = subprocess.Popen(
                # Safe of modules in the current folder.
                [sys.executable, "-P", "-m", decoder_child.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])},
                process_group=0 if os.name == "posix" else -1,  # Ctrl-C is not for it.
            )
        except OSError as error:
            raise UserError(
                f"cannot start the process that decodes pictures: {error.strerror}"
            ) from error
        self._owner = os.getpid()
        return self._child


def _ask(child: subprocess.Popen[bytes], request: bytes, side: int) -> tuple[int, bytes]:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(decoder_child.REQUEST.pack(side, len(request)))
    child.stdin.write(request)
    child.stdin.flush()
    head = child.stdout.read(decoder_child.ANSWER.size)
    if len(head) < decoder_child.ANSWER.size:
        raise EOFError
    outcome, length = decoder_child.ANSWER.unpack(head)
    content = child.stdout.read(min(length, 3 * side * side))
    return outcome, content


def _how_it_ended(child: subprocess.Popen[bytes]) -> str:
    _end(child)
    ended_by = -(child.returncode or 0)
    if ended_by == getattr(signal, "SIGPROF", 0):
        return f"it takes more than {decoder_child.SECONDS:.0f} seconds"
    return f"the decoder ended ({_name(ended_by)})"


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "without a signal"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a child, at once if need be, and closes its pipes."""
    assert child.stdin is not None and child.stdout is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


shared: Final = LimitedDecoder()
"""The one of this process."""

atexit.register(shared.close)
