"""A run on an object store that Orbax cannot write to, such as s3://, and its copy on this machine.

Process 0 trains in a folder of the user's cache, as every run does, and a thread sends what is new:
first all files but checkpoints, since no checkpoint may be there without the rows of metrics before
it; then each checkpoint's files, and its seal (`mmgenre.runs.checkpoint_seal`) as the last. A
checkpoint without its seal counts as none, so that a kill at any moment leaves no half one. Older
ones are deleted only when newer ones are sealed there, their seals first.

A run that starts takes what is sealed there. Only where the folder on this machine was the last one
to be sent there does the run go on from that, which may be a save ahead.

Object stores have no locks that end with a process. `mirror.json` says who began to write last; who
finds another name in it stops. Two that start in the same second may both go on for some time.
"""

import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mmgenre.machine import environment
from mmgenre.runs import checkpoint_seal
from mmgenre.runs.checkpoint_seal import SEAL
from mmgenre.runs.object_store import StoredFolder

CONFIG: Final = "config.json"
"""Sent after all others: a folder with a config is a run."""

CHECKPOINTS: Final = "checkpoints"
OWNER: Final = "mirror.json"

_OPTIMIZER: Final = "training"
"""The item of a checkpoint that only training reads."""


class TakenOver(Exception):
    """Another process has begun to write this run."""


class Mirror:
    """A folder on this machine and the one on an object store that is to become the same."""

    def __init__(self, address: str, folder: Path):
        """Connects to nothing yet; raises UserError where the package for the store is missing."""
        self.folder = folder
        self._store = StoredFolder(address)
        self._fetched: dict[str, str] = {}
        self._sent: dict[str, tuple[int, int]] = {}
        self._seals: dict[int, bytes] = {}
        self._owner = b""

    def claim(self) -> None:
        """Begins to write the run: takes what is there, and says so there.

        Raises:
          Exception: of any kind, where the store cannot be reached, read or written.
        """
        there = self._store.list_files()
        owner = self._store.read(OWNER) if OWNER in there else None
        if owner is None or owner != _read(self.folder / OWNER):
            remove(self.folder)
            self.fetch(there)
        self._owner = json.dumps(
            {
                "owner": secrets.token_hex(16),
                "host": socket.gethostname(),
                "process": os.getpid(),
                "since": environment.now(),
            },
            allow_nan=False,
        ).encode()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._store.write(OWNER, self._owner)
        (self.folder / OWNER).write_bytes(self._owner)
        steps = _sealed(there)
        for step in steps:
            self._seals[step] = self._store.read(_seal_of(step)) or b""
        # What a kill left, and nobody will ever seal.
        self._store.delete(
            name
            for name in there
            if name.startswith(f"{CHECKPOINTS}/") and _step_of(name) not in steps
        )

    def fetch(
        self,
        there: dict[str, str] | None = None,
        *,
        checkpoints: bool = True,
        training: bool = True,
    ) -> None:
        """Copies what is new there to this machine, half checkpoints left out.

        Args:
          there: what `StoredFolder.list_files` said.
          checkpoints: whether to copy them, too.
          training: whether to copy of checkpoints, too, what only training reads.
        """
        there = self._store.list_files() if there is None else there
        steps = _sealed(there) if checkpoints else set()
        wanted = {name for name in there if name != OWNER and _step_of(name) in {None, *steps}}
        if not training:
            wanted = {name for name in wanted if not _is_for_training(name)}
        for name in self._fetched.keys() - wanted:
            (self.folder / name).unlink(missing_ok=True)
        for name in sorted(wanted):
            if self._fetched.get(name) != there[name]:
                self._store.fetch(name, self.folder / name)
            self._sent[name] = _stamp(self.folder / name)
        for step in _local_steps(self.folder) - steps:
            shutil.rmtree(self.folder / CHECKPOINTS / str(step))
        self._fetched = {name: there[name] for name in wanted}

    @property
    def is_behind(self) -> bool:
        """Whether there are other checkpoints on this machine than there."""
        return _local_steps(self.folder) != self._seals.keys()

    def send(self) -> None:
        """Copies what is new on this machine there.

        Raises:
          TakenOver: another process writes there now.
          Exception: of any kind, where the store cannot be reached or written.
        """
        self._require_own()
        steps = sorted(_local_steps(self.folder))  # First: what is sent before them is newer.
        self.send_files()
        for step in steps:
            self._send_checkpoint(step)
        if steps:
            for step in self._seals.keys() - steps:
                self._delete_checkpoint(step)

    def send_files(self) -> None:
        """Copies what is new on this machine there, checkpoints left out."""
        names = [name for name in _names(self.folder) if name != OWNER]
        for name in sorted(names, key=lambda name: (name == CONFIG, name)):
            self._send_file(name)

    def _send_file(self, name: str) -> None:
        path = self.folder / name
        try:
            stamp = _stamp(path)
            if self._sent.get(name) != stamp:
                self._store.send(path, name)
                self._sent[name] = stamp
        except FileNotFoundError:
            if path.exists():  # Else it was removed meanwhile.
                raise

    def _send_checkpoint(self, step: int) -> None:
        folder = self.folder / CHECKPOINTS / str(step)
        if not (folder / SEAL).exists():  # The run seals it at its next save.
            checkpoint_seal.seal(folder)
        seal = (folder / SEAL).read_bytes()
        if self._seals.get(step) == seal:
            return
        self._delete_checkpoint(step)
        for name in json.loads(seal):
            self._store.send(folder / name, f"{CHECKPOINTS}/{step}/{name}")
        self._require_own()
        self._store.write(_seal_of(step), seal)
        self._seals[step] = seal

    def _delete_checkpoint(self, step: int) -> None:
        if self._seals.pop(step, None) is None:
            return
        self._store.delete([_seal_of(step)])
        self._store.delete(name for name in self._store.list_files() if _step_of(name) == step)

    def _require_own(self) -> None:
        found = self._store.read(OWNER)
        if found != self._owner:
            raise TakenOver(_describe(found))


def remove(folder: Path) -> None:
    """Removes a copy from this machine; what a kill leaves of it is not taken for a run."""
    (folder / OWNER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _describe(owner: bytes | None) -> str:
    try:
        fields = json.loads(owner or b"")
        return f"process {fields['process']} on {fields['host']}, since {fields['since']}"
    except (ValueError, LookupError, TypeError):
        return "nobody knows who"


def _names(folder: Path) -> Iterator[str]:
    """Yields the names of all files that are whole, checkpoints left out."""
    for top, folders, names in os.walk(folder):
        if Path(top) == folder:
            folders[:] = [name for name in folders if name != CHECKPOINTS]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(top) / name).relative_to(folder).as_posix()


def _local_steps(folder: Path) -> set[int]:
    """The checkpoints on this machine that Orbax has finished: then it gives them their names."""
    found = (folder / CHECKPOINTS).glob("[0-9]*")
    return {int(path.name) for path in found if path.name.isdecimal()}


def _sealed(there: dict[str, str]) -> set[int]:
    """The checkpoints on the store that are whole."""
    steps = {_step_of(name) for name in there}
    return {step for step in steps if step is not None and _seal_of(step) in there}


def _step_of(name: str) -> int | None:
    """The checkpoint that a file belongs to, -1 for rubbish among them, None for another file."""
    top, *rest = name.split("/")
    if top != CHECKPOINTS:
        return None
    is_step = len(rest) > 1 and rest[0].isdecimal() and str(int(rest[0])) == rest[0]
    return int(rest[0]) if is_step else -1


def _seal_of(step: int) -> str:
    return f"{CHECKPOINTS}/{step}/{SEAL}"


def _is_for_training(name: str) -> bool:
    return name.split("/")[2:3] == [_OPTIMIZER] and _step_of(name) is not None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
