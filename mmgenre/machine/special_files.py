"""Links, pipes and devices among the files of a folder that somebody else may have made.

What is written and deleted below a folder must lie in it, but a link leads anywhere. So a folder
that has one is refused before anything is written, as a whole: then nothing has to be thought of
where a file is opened, replaced or deleted. The folder itself is the user's to name: it may be a
link, and so may be folders above it.
"""

import contextlib
import os
from collections.abc import Iterator

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine import files


def refuse_in(folder: epath.PathLike, option: str, *, recursive: bool = True) -> None:
    """Raises UserError where a folder that is about to be written into has one.

    Object stores have none.

    Args:
      folder: it may be missing.
      option: of the command line that names it.
      recursive: whether to look into the folders in it, too.
    """
    if files.is_remote(folder):
        return
    try:
        entry = next(_special_files(os.fspath(folder), recursive), None)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror}") from error
    if entry is not None:
        what = "a symbolic link" if entry.is_symlink() else "no ordinary file"
        raise UserError(
            f"{entry.path} is {what}, and what is written or deleted there may be somewhere else; "
            f"remove it, or choose another folder with {option}"
        )


def refuse_endless_in(folder: epath.PathLike, *, recursive: bool = True) -> None:
    """Raises UserError where a folder that is about to be read has a pipe, a device or a socket.

    Opening a pipe that nobody writes to waits for ever. Links to files are as good as files.

    Args:
      folder: it may be missing.
      recursive: whether to look into the folders in it, too.
    """
    if files.is_remote(folder):
        return
    with contextlib.suppress(OSError):  # Reading says why it cannot be read.
        for entry in _special_files(os.fspath(folder), recursive):
            if not (entry.is_file() or entry.is_dir()) and os.path.exists(entry.path):
                raise UserError(f"{entry.path} is no ordinary file; remove it")


def _special_files(folder: str, recursive: bool) -> Iterator[os.DirEntry[str]]:
    """Yields all that are neither files nor folders, without a system call for each."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield entry
                elif entry.is_dir():
                    if recursive:
                        folders.append(entry.path)
                elif not entry.is_file():
                    yield entry
