"""One process at a time on one run directory, or on one sweep."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import file_lock, files, folder_kinds, special_files
from mmgenre.machine.folder_kinds import FolderKind
from mmgenre.runs import object_store

LOCK_FILE: Final = "lock"


@contextlib.contextmanager
def held(workdir: epath.Path, kind: FolderKind = folder_kinds.RUN) -> Iterator[None]:
    """Holds the lock of a folder, which is made where it is missing.

    Object stores have no locks: there nothing is checked but the folder's kind. For a run on s3://
    see `mmgenre.runs.workplace`.

    Args:
      workdir: the folder.
      kind: what is written into it.

    Raises:
      UserError: another process holds it, the folder is of another kind, has links in it, or
        cannot be written.
    """
    if object_store.is_mirrored(workdir):
        raise UserError(
            f"cannot write {kind.name} into {workdir}; choose a folder of this machine or on gs://"
        )
    special_files.refuse_in(workdir, "--workdir")
    folder_kinds.require(workdir, kind, "--workdir")
    if files.is_remote(workdir):
        yield
        return
    with file_held(workdir, os.fspath(workdir)):
        yield


@contextlib.contextmanager
def file_held(folder: epath.Path, name: str) -> Iterator[None]:
    """Holds the lock file in a folder of this machine, which is made where it is missing.

    Args:
      folder: where the file is.
      name: of what it locks, for messages.

    Raises:
      UserError: another process holds it, or it cannot be written.
    """
    with contextlib.ExitStack() as until_end:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            until_end.enter_context(file_lock.held(Path(folder / LOCK_FILE)))
        except file_lock.InUseError as error:
            raise UserError(
                f"{name} is in use by {error}; wait for it, end it, or choose another --workdir"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write the run directory {folder}: {error}") from error
        yield
