"""Stores fetched posters in a process of its own, so that the event loop never waits for the disk.

A thread was tried and was slower: each of its system calls gives up the interpreter's lock and has
to wait for the loop to get it back.
"""

import contextlib
import mmap
import multiprocessing
import signal
import sqlite3
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Final, Self

from data_prep.posters.http_client import Answer
from data_prep.posters.manifest import Manifest
from mmgenre.errors import UserError
from mmgenre.inputs import poster_decoder

_BATCH: Final = 64  # Answers that are stored at a time,
_BATCH_SECONDS: Final = 0.5  # or those of this time.
_AREAS: Final = 4  # Batches that may be under way, the one that is filled included.
_AREA_BYTES: Final = poster_decoder.MAX_BYTES  # Takes memory only where it is written.

_Fact = tuple[str, str, str, int | None]
"""Poster path, width, status, and bytes of the file, if there is one: they follow each other."""


class Storing:
    """Hands answers to the process, many at a time. A context manager.

    Files lie in memory that both share, areas of it in turn, and only what they are goes through a
    pipe: through it, each file would be copied twice more, by a call of the system each time.

    The process is forked: it starts at once and shares the lock on the workspace, so that after a
    kill nobody else begins before what was handed over is stored.

    Attributes:
      pending: poster paths whose answers are awaited, or wait to be stored.
    """

    def __init__(self, manifest: Manifest):
        self.pending: set[str] = set()
        self._folder = manifest.folder
        self._batch: list[_Fact] = []
        self._batch_start = 0.0
        self._batch_bytes = 0
        self._under_way: deque[list[str]] = deque()
        self._areas = [mmap.mmap(-1, _AREA_BYTES) for _ in range(_AREAS)]
        self._area = 0
        context = multiprocessing.get_context("fork")
        answers, self._answers = context.Pipe(duplex=False)
        self._receipts, receipts = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_store_all,
            args=(manifest, self._areas, self._answers, answers, receipts),
            daemon=True,
        )
        self._process.start()
        answers.close()
        receipts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        try:
            self._hand_over()
            while self._under_way:
                self._take_receipt()
        except UserError:
            if kind is None:
                raise
        finally:
            self._answers.close()  # Which ends the process.
            self._process.join()

    def put(self, poster_path: str, answer: Answer) -> None:
        """Takes an answer; raises UserError where the disk refused this one or one before it."""
        now, data = time.monotonic(), answer.data
        size = None if data is None else len(data)
        if self._batch_bytes + (size or 0) > _AREA_BYTES:
            self._hand_over()
        if not self._batch:
            self._batch_start = now
        if data is not None:
            end = self._batch_bytes + len(data)
            self._areas[self._area][self._batch_bytes : end] = data
            self._batch_bytes = end
        self._batch.append((poster_path, answer.width, answer.status, size))
        if len(self._batch) >= _BATCH or now - self._batch_start > _BATCH_SECONDS:
            self._hand_over()
            while self._under_way and self._receipts.poll():
                self._take_receipt()

    def _hand_over(self) -> None:
        if not self._batch:
            return
        self._under_way.append([fact[0] for fact in self._batch])
        with contextlib.suppress(BrokenPipeError):  # Its last receipt says why.
            self._answers.send((self._area, self._batch))
        self._batch, self._batch_bytes = [], 0
        self._area = (self._area + 1) % _AREAS
        while len(self._under_way) >= _AREAS:  # The next area is still being read.
            self._take_receipt()

    def _take_receipt(self) -> None:
        try:
            problem = self._receipts.recv()
        except EOFError:
            problem = "the process that stores them was ended"
        if problem:
            self._under_way.clear()
            raise UserError(f"cannot store posters in {self._folder}: {problem}")
        self.pending.difference_update(self._under_way.popleft())


def _store_all(
    manifest: Manifest,
    areas: list[mmap.mmap],
    parents_end: Connection,
    answers: Connection,
    receipts: Connection,
) -> None:
    """What the process does: stores batches until their pipe is closed, with a receipt for each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    parents_end.close()
    views = [memoryview(area) for area in areas]
    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            # SQLite's connections are not to be shared.
            with Manifest(manifest.folder, manifest.widths) as own:
                while True:
                    area, facts = answers.recv()
                    own.store(_answers(views[area], facts))
                    receipts.send("")
        except (OSError, sqlite3.Error, UserError) as error:
            receipts.send(str(error) or type(error).__name__)


def _answers(area: memoryview, facts: list[_Fact]) -> list[tuple[str, Answer]]:
    found, start = [], 0
    for poster_path, width, status, size in facts:
        end = start + (size or 0)
        data = None if size is None else area[start:end]
        found.append((poster_path, Answer(data, width, status)))
        start = end
    return found
