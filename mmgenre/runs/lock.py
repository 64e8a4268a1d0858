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

LOCK_FILE: Final = "lock"


@contextlib.contextmanager
def held(workdir: epath.Path, kind: FolderKind = folder_kinds.RUN) -> Iterator[None]:
    """Holds the lock of a folder, which is made where it is missing.

    Object stores have no locks: there nothing is checked but the folder's kind.

    Args:
      workdir: the folder.
      kind: what is written into it.

    Raises:
      UserError: another process holds it, the folder is of another kind, has links in it, or
        cannot be written.
    """
    if files.is_remote(workdir) and not os.fspath(workdir).startswith("gs://"):
        raise UserError(
            f"cannot write the run directory {workdir}: Orbax writes checkpoints to file systems "
            "and gs:// only; choose a --workdir there (the data set may stay where it is)"
        )
    special_files.refuse_in(workdir, "--workdir")
    folder_kinds.require(workdir, kind, "--workdir")
    if files.is_remote(workdir):
        yield
        return
    with contextlib.ExitStack() as until_end:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            until_end.enter_context(file_lock.held(Path(workdir / LOCK_FILE)))
        except file_lock.InUseError as error:
            raise UserError(
                f"{workdir} is in use by {error}; wait for it, end it, or choose another --workdir"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write the run directory {workdir}: {error}") from error
        yield
