"""Kinds of folders that this program makes, so that no command writes into one of another kind.

Several kinds have a `tokenizer.json` and a `dataset.json`, each with another meaning: written into
the wrong folder they would replace what cannot be had again.
"""

import dataclasses
import fnmatch
from typing import Any, Final

from etils import epath

from mmgenre.errors import UserError
from mmgenre.machine.json_files import read_json


@dataclasses.dataclass(frozen=True)
class _Marker:
    """A JSON file that tells what a folder is.

    Attributes:
      file: its name.
      keys: that it has.
      even_damaged: whether it still tells when it cannot be read.
    """

    file: str
    keys: frozenset[str]
    even_damaged: bool = True

    def is_in(self, folder: epath.Path) -> bool:
        """Whether the folder has it."""
        path = folder / self.file
        if not path.exists():
            return False
        try:
            fields: Any = read_json(path)
        except (OSError, ValueError):
            return self.even_damaged
        return isinstance(fields, dict) and self.keys <= fields.keys()


@dataclasses.dataclass(frozen=True)
class FolderKind:
    """What a folder is.

    Attributes:
      name: with its article.
      markers: any of them tells it.
      first: files one of which is there before the marker is.
      traces: patterns of all that may be there before the marker is, or when a kill took it away.
    """

    name: str
    markers: tuple[_Marker, ...]
    first: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()

    def is_at(self, folder: epath.Path) -> bool:
        """Whether the folder is of this kind."""
        return any(marker.is_in(folder) for marker in self.markers)

    def was_begun(self, entries: list[str]) -> bool:
        """Whether a folder holds only what a process leaves that was killed in the middle."""
        known = (*self.first, *self.traces, ".*.tmp")
        return any(_matches(name, self.first) for name in entries) and all(
            _matches(name, known) for name in entries
        )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


RUN: Final = FolderKind(
    "a run",
    (
        _Marker("config.json", frozenset({"model", "data"})),
        _Marker("dataset.json", frozenset({"info", "path"}), even_damaged=False),
    ),
    first=("lock", "mirror.json", "output.txt"),
    traces=("checkpoints", "tensorboard", "tokenizer.json"),
)
DATASET: Final = FolderKind(
    "a prepared data set",
    (_Marker("dataset.json", frozenset({"schema_version"})),),
    first=(".work", "mmgenre-*.tfrecord-*"),
    traces=(
        "SHA256SUMS",
        "audit.json",
        "dataset_info.json",
        "features.json",
        "genres.png",
        "genres.txt",
        "record_index.npz",
        "tokenizer.json",
    ),
)
BUNDLE: Final = FolderKind(
    "an exported bundle", (_Marker("bundle.json", frozenset({"format_version"})),)
)
SWEEP: Final = FolderKind(
    "a sweep", (_Marker("results.json", frozenset({"axes", "points"})),), first=("lock",)
)
REVIEW: Final = FolderKind(
    "a review", (_Marker("review.json", frozenset({"folds", "splits"})),), first=("lock",)
)
WORKSPACE: Final = FolderKind(
    "a preparation's workspace",
    (_Marker("read.json", frozenset({"key", "outcome"})),),
    first=("lock",),
    traces=("*",),
)
_KINDS: Final = (RUN, DATASET, BUNDLE, SWEEP, REVIEW, WORKSPACE)


def require(folder: epath.PathLike, kind: FolderKind, option: str) -> None:
    """Raises UserError unless a folder is new, empty, or of the kind that is written there.

    Args:
      folder: that is about to be written into.
      kind: what it is to be.
      option: of the command line that names it.
    """
    folder = epath.Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; choose a folder with {option}")
    if kind.is_at(folder):
        return
    for other in _KINDS:
        if other.is_at(folder):
            raise UserError(
                f"{folder} is {other.name}, not {kind.name}; choose another folder with {option}"
            )
    entries = sorted(path.name for path in folder.iterdir())
    if entries and not kind.was_begun(entries):
        raise UserError(
            f"{folder} is not empty and not {kind.name} (it has {entries[0]!r}); choose a new or "
            f"an empty folder with {option}"
        )
