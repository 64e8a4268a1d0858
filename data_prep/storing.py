"""Stores fetched posters in a process of its own, so that the event loop never waits for the disk.

A thread was tried and was slower: each of its system calls gives up the interpreter's lock and has
to wait for the loop to get it back.
"""

import contextlib
import fcntl
import multiprocessing
import os
import signal
import sqlite3
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Final, Self

from data_prep.http_client import Answer
from data_prep.manifest import Manifest
from mmgenre.errors import UserError

_BATCH: Final = 64  # Answers that are stored at a time,
_BATCH_SECONDS: Final = 0.5  # or those of this time.
_PIPE_BYTES: Final = 1 << 20  # Takes a batch of usual posters without waiting.


class Storing:
    """Hands answers to the process, many at a time. A context manager.

    The process is forked: it starts at once and shares the lock on the workspace, so that after a
    kill nobody else begins before what was handed over is stored.

    Attributes:
      pending: poster paths whose answers are awaited, or wait to be stored.
    """

    def __init__(self, manifest: Manifest):
        self.pending: set[str] = set()
        self._folder = manifest.folder
        self._batch: list[tuple[str, Answer]] = []
        self._batch_start = 0.0
        self._under_way: deque[list[str]] = deque()
        context = multiprocessing.get_context("fork")
        answers, self._answers = context.Pipe(duplex=False)
        self._receipts, receipts = context.Pipe(duplex=False)
        with contextlib.suppress(OSError, AttributeError):  # Smaller, it is waited for sometimes.
            fcntl.fcntl(self._answers.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._process = context.Process(
            target=_store_all, args=(manifest, self._answers, answers, receipts), daemon=True
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
        now = time.monotonic()
        if not self._batch:
            self._batch_start = now
        self._batch.append((poster_path, answer))
        if len(self._batch) >= _BATCH or now - self._batch_start > _BATCH_SECONDS:
            self._hand_over()
            while self._under_way and self._receipts.poll():
                self._take_receipt()

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._under_way.append([poster_path for poster_path, _ in batch])
            with contextlib.suppress(BrokenPipeError):  # Its last receipt says why.
                _send(self._answers, batch)

    def _take_receipt(self) -> None:
        try:
            problem = self._receipts.recv()
        except EOFError:
            problem = "the process that stores them was ended"
        if problem:
            self._under_way.clear()
            raise UserError(f"cannot store posters in {self._folder}: {problem}")
        self.pending.difference_update(self._under_way.popleft())


def _send(pipe: Connection, batch: list[tuple[str, Answer]]) -> None:
    """Sends the files behind the rest, as they are: pickled, each would be copied twice more."""
    facts = []
    for poster_path, answer in batch:
        size = None if answer.data is None else len(answer.data)
        facts.append((poster_path, answer.width, answer.status, size))
    pipe.send(facts)
    files: list[bytes | memoryview] = [answer.data for _, answer in batch if answer.data]
    while files:
        written = os.writev(pipe.fileno(), files)
        while files and written >= len(files[0]):
            written -= len(files.pop(0))
        if written:
            files[0] = memoryview(files[0])[written:]


def _receive(pipe: Connection) -> list[tuple[str, Answer]]:
    """Takes what `_send` sent; raises EOFError where the sender has ended, or ends on the way."""
    batch = []
    for poster_path, width, status, size in pipe.recv():
        data = None if size is None else _read(pipe.fileno(), size)
        batch.append((poster_path, Answer(data, width, status)))
    return batch


def _read(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size) if size else b""
    while len(data) < size:
        block = os.read(descriptor, size - len(data))
        if not block:
            raise EOFError
        data += block
    return data


def _store_all(
    manifest: Manifest, parents_end: Connection, answers: Connection, receipts: Connection
) -> None:
    """What the process does: stores batches until their pipe is closed, with a receipt for each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    parents_end.close()
    own = Manifest(manifest.folder, manifest.widths)  # SQLite's connections are not to be shared.
    with own, contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            batch = _receive(answers)
            try:
                own.store(batch)
            except (OSError, sqlite3.Error) as error:
                receipts.send(str(error) or type(error).__name__)
                return
            receipts.send("")
