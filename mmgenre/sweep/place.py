"""Where a sweep's points are trained and its results lie: a folder, or an object store.

On an object store each point is an ordinary run below the sweep's address, which mmgenre.main sends
there. The sweep itself keeps small files alone on this machine: what the points have written but
their checkpoints, and its own results. They are fetched anew at each start.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files, folder_kinds
from mmgenre.runs import lock, mirror, workplace
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.mirror import Mirror
from mmgenre.runs.object_store import StoredFolder, explained, is_mirrored


class Place:
    """The place of a sweep.

    Attributes:
      address: of the object store; "" where the sweep is a folder.
      folder: the sweep, or what of it is on this machine.
    """

    def __init__(self, workdir: str):
        """Connects to nothing yet.

        Raises:
          UserError: no sweep can be written there, or there is no place for the small files.
        """
        if files.is_remote(workdir) and not is_mirrored(workdir):
            raise UserError(
                f"--workdir is {workdir}, but a sweep is written into a folder of this machine or "
                "to s3://; choose one of them"
            )
        self.address = workdir.rstrip("/") if is_mirrored(workdir) else ""
        self.folder = workplace.local_folder(workdir) if self.address else Path(workdir)
        self._points: dict[str, Mirror] = {}

    def __str__(self) -> str:
        """How to tell users of it."""
        return self.shown(self.folder)

    def shown(self, path: Path) -> str:
        """Returns how to tell users of a file or folder of the sweep: where it will stay."""
        if not self.address:
            return str(path)
        return "/".join([self.address, *path.relative_to(self.folder).parts])

    def workdir(self, name: str) -> str:
        """Returns the run directory of a point, as mmgenre.main takes it."""
        return self.shown(self.folder / name)

    def run(self, name: str) -> RunDirectory:
        """Returns what of a point is on this machine; the folder may not be there yet."""
        address = self.workdir(name) if self.address else ""
        return RunDirectory(epath.Path(self.folder / name), address)

    def trained_in(self, name: str) -> RunDirectory:
        """Returns where a point's metrics appear while it is trained."""
        if not self.address:
            return self.run(name)
        return RunDirectory(epath.Path(workplace.local_folder(self.workdir(name))))

    @contextlib.contextmanager
    def held(self, names: Sequence[str]) -> Iterator[None]:
        """Holds the sweep's lock; on an object store with what of these points is there.

        Raises:
          UserError: another process holds it, the place is of another kind, or cannot be used.
        """
        if not self.address:
            with lock.held(epath.Path(self.folder), folder_kinds.SWEEP):
                yield
            return
        with lock.file_held(epath.Path(self.folder.parent), self.address):
            with explained("read the sweep", self.address):
                folder_kinds.require(files.path(self.address), folder_kinds.SWEEP, "--workdir")
            mirror.remove(self.folder)
            self.folder.mkdir(parents=True)
            for name in names:
                self.fetch(name)
            yield
            mirror.remove(self.folder)

    def fetch(self, name: str) -> None:
        """Brings what is new of a point to this machine; raises UserError where it cannot."""
        if not self.address:
            return
        point = self._points.setdefault(name, Mirror(self.workdir(name), self.folder / name))
        with explained("read", self.workdir(name)):
            point.fetch(checkpoints=False)

    def send(self, *paths: Path) -> None:
        """Sends files of the sweep to where they stay; raises UserError where that fails."""
        if not self.address:
            return
        store = StoredFolder(self.address)
        with explained("write into", self.address):
            for path in paths:
                store.send(path, os.fspath(path.relative_to(self.folder)))
