"""Where a run is written and read: in its own folder, or in a copy of one on an object store."""

import atexit
import contextlib
import hashlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from etils import epath

from mmgenre.errors import RunError, UserError, call_copy, first_line
from mmgenre.machine import files, folder_kinds, user_cache
from mmgenre.runs import lock, mirror
from mmgenre.runs.mirror import Mirror, TakenOver
from mmgenre.runs.object_store import StoredFolder, explained, is_mirrored
from mmgenre.runs.temporary_folder import TemporaryFolder

_LOOK_EVERY_S: Final = 0.5
"""Seconds until a finished checkpoint is noticed."""

_SEND_EVERY_S: Final = 30.0
"""Seconds until rows and lines of the log are sent, and until a failure is tried again."""

_TRIES: Final = 3

_log = logging.getLogger(__name__)


class Workplace:
    """The folder that a training writes into, a context manager: it holds the folder's lock.

    Where the workdir is on an object store, the folder is a copy on this machine, and what is new
    in it is sent by a thread. Process 0 alone enters it.
    """

    def __init__(self, workdir: epath.PathLike):
        """Connects to nothing yet; raises UserError where there is no place for a copy."""
        self.address = os.fspath(workdir) if is_mirrored(workdir) else ""
        self.folder = epath.Path(workdir)
        self._mirror: Mirror | None = None
        self._sending = threading.Lock()
        self._is_over = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="mirror", daemon=True)
        self._until_end = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Takes the lock, and what is on the object store.

        Raises:
          UserError: another process works here, or the folder or the store cannot be written.
        """
        if not self.address:
            self._until_end.enter_context(lock.held(self.folder))
            return self
        folder = local_folder(self.address)
        home = folder.parent
        self._mirror = Mirror(self.address, folder)
        call_copy(folder, self.address)
        with contextlib.ExitStack() as until_end:
            until_end.enter_context(lock.file_held(epath.Path(home), self.address))
            with explained("write the run directory", self.address):
                there = files.path(self.address)
                folder_kinds.require(there, folder_kinds.RUN, "--workdir")
                self._mirror.claim()
            self._until_end = until_end.pop_all()
        self.folder = epath.Path(self._mirror.folder)
        self._watching.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._until_end:
            if self._mirror is None:
                return
            self._is_over.set()
            self._watching.join()
            if error is None:
                self.send()
                mirror.remove(self._mirror.folder)
                return
            try:
                self.send()
            except RunError as failure:  # The error that ended the run is the one to report.
                _log.warning("%s", failure)

    def send(self) -> None:
        """Sends what is new and waits for it; raises RunError where it cannot be sent."""
        if self._mirror is None:
            return
        try:
            with self._sending:
                self._mirror.send()
        except TakenOver as other:
            raise RunError(
                f"{self.address} is now written by another run ({other}), so this one has stopped; "
                f"what it did not send is in {self._mirror.folder}"
            ) from other
        except Exception as error:  # Those of fsspec, of botocore, and of the sockets below.
            raise RunError(
                f"cannot send the run to {self.address}: {first_line(error)}. It is whole in "
                f"{self._mirror.folder}: run the same command again on this machine to go on"
            ) from error

    def _watch(self) -> None:
        """Sends each checkpoint as soon as it is there, other files now and then."""
        assert self._mirror is not None
        due, is_failing = time.monotonic() + _SEND_EVERY_S, False
        while not self._is_over.wait(_LOOK_EVERY_S):
            is_due = time.monotonic() >= due
            if not (is_due or (self._mirror.is_behind and not is_failing)):
                continue
            try:
                self.send()
                is_failing = False
            except RunError as error:
                if isinstance(error.__cause__, TakenOver):
                    os.kill(os.getpid(), signal.SIGTERM)  # The training ends as for any other.
                    return
                if not is_failing and not self._is_over.is_set():
                    _log.warning("%s; trying again every %.0f s", error.__cause__, _SEND_EVERY_S)
                is_failing = True
            due = time.monotonic() + _SEND_EVERY_S


class Copy:
    """A copy of a run on an object store, for a command that reads it and may add results."""

    def __init__(self, address: str):
        """Copies nothing yet; raises UserError where the package for the store is missing."""
        name = StoredFolder(address).name
        self._temporary = TemporaryFolder()
        atexit.register(self._temporary.close)
        self.address = address
        self._mirror = Mirror(address, self._temporary.path / name)
        call_copy(self._mirror.folder, address)

    @property
    def folder(self) -> epath.Path:
        """On this machine; there is none where nothing is on the store."""
        return epath.Path(self._mirror.folder)

    def fetch(self, *, checkpoints: bool = True) -> None:
        """Copies what is new there; raises UserError where it cannot be read."""
        with explained("read", self.address):
            for last in (False,) * (_TRIES - 1) + (True,):
                try:
                    self._mirror.fetch(checkpoints=checkpoints, training=False)
                    return
                except FileNotFoundError:  # A run that goes on has replaced a checkpoint.
                    if last:
                        raise

    def send(self) -> None:
        """Copies new results there; raises UserError where they cannot be written."""
        with explained("write into", self.address):
            self._mirror.send_files()


_copies: dict[str, Copy] = {}


def copy_of(address: str, *, checkpoints: bool = True) -> Copy:
    """Returns the copy of a run on an object store, as it is there now; it lasts till the end.

    Raises:
      UserError: it cannot be read.
    """
    copy = _copies.get(address)
    if copy is None:
        copy = _copies[address] = Copy(address)
    copy.fetch(checkpoints=checkpoints)
    return copy


@contextlib.contextmanager
def results_sent(*runs: epath.PathLike) -> Iterator[None]:
    """Sends what is written within into runs on object stores, where all goes well."""
    yield
    for run in runs:
        if copy := _copies.get(os.fspath(run)):
            copy.send()


def local_folder(address: str) -> Path:
    """Returns where the copy of what is written to an address lies; its lock is beside it.

    Raises:
      UserError: there is no place for it, or the package for the store is missing.
    """
    try:
        runs = user_cache.root() / "runs"
        user_cache.make(runs)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"no place for a copy of {address} on this machine ({first_line(error)}); set "
            "XDG_CACHE_HOME to a folder that this user can write"
        ) from error
    digest = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]
    return runs / digest / StoredFolder(address).name
