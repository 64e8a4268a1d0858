"""Stages of a preparation, each done once for the same inputs, and the folder of their results."""

import abc
import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar

from etils import epath

from data_prep.workspace.progress import Progress
from mmgenre.errors import UserError
from mmgenre.machine import file_lock, files, folder_kinds, special_files
from mmgenre.machine.json_files import read_json

_BLOCK: Final = 1 << 20

Outcome = TypeVar("Outcome")


class Stage(abc.ABC, Generic[Outcome]):
    """One step of a preparation: a dataclass of all that it depends on, run by `Workspace.do`.

    What a stage leaves appears whole under its name or not at all, so that it may be killed at any
    moment and run again.

    Attributes:
      name: in what is shown, and of its marker in the workspace.
      outcome_type: of what it comes to: a dataclass of JSON values, or a dict of them.
    """

    name: ClassVar[str]
    outcome_type: ClassVar[Callable[..., Any]] = dict

    def key(self) -> str | None:
        """A digest that changes when the stage must be done again.

        None for a stage that keeps a key with each part of its work, and looks at all of them.
        """
        return None

    def is_whole(self, workspace: "Workspace", outcome: Outcome) -> bool:
        """Whether what an earlier run left is still there."""
        del workspace, outcome
        return True

    @abc.abstractmethod
    def run(self, workspace: "Workspace", progress: Progress) -> Outcome:
        """Does what is not done yet."""


class HasDigest(Protocol):
    """An outcome that others are made from."""

    @property
    def digest(self) -> str:
        """Changes with it."""


def combined(first: HasDigest, *others: HasDigest) -> str:
    """A digest of the outcomes that a stage is made from."""
    return functools.reduce(digest, (other.digest for other in others), first.digest)


def file_digest(path: epath.PathLike) -> str:
    """SHA-256 of a file of any size, in hexadecimal."""
    digest = hashlib.sha256()
    with epath.Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digest(*parts: Any) -> str:
    """A short digest of JSON values, to tell whether a stage's inputs have changed."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()[
        :32
    ]


def make_folder(path: epath.PathLike) -> epath.Path:
    """Makes a folder and those above it; raises UserError where the disk refuses."""
    path = epath.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror or error}") from error
    return path


def local_folder(workspace: epath.PathLike, name: str) -> Path:
    """Makes a folder in a workspace; raises UserError where that is in an object store."""
    if files.is_remote(workspace):
        raise UserError(
            f"{workspace} is in an object store; give a folder on a local disk with --work"
        )
    return Path(make_folder(epath.Path(workspace) / name))


class Workspace:
    """The folder that keeps each stage's results, and under which inputs each was made.

    Only one process at a time may use it. A context manager.

    Args:
      path: of the folder, which is made where it is missing.
      progress: where stages report to; None is nowhere.

    Raises:
      UserError: the folder cannot be made, is of another kind, has links in it, or another
        process uses it.
    """

    def __init__(self, path: epath.PathLike, progress: Progress | None = None):
        special_files.refuse_in(path, "--work")
        folder_kinds.require(path, folder_kinds.WORKSPACE, "--work")
        self.path = make_folder(path)
        self._progress = progress or Progress("none")
        self._until_end = contextlib.ExitStack()
        if files.is_remote(self.path):
            return
        try:
            self._until_end.enter_context(file_lock.held(Path(self.path / "lock")))
        except file_lock.InUseError as error:
            raise UserError(
                f"another preparation is at work in {self.path} ({error}); wait for it, or give "
                "another folder with --work"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._until_end.close()

    def do(self, stage: Stage[Outcome]) -> Outcome:
        """Runs a stage, unless an earlier run did with the same inputs; returns what it came to."""
        key = stage.key()
        if key is None:
            return stage.run(self, self._progress)
        outcome = self._earlier(stage, key)
        if outcome is None:
            outcome = stage.run(self, self._progress)
            self.mark(stage.name, key, outcome)
        else:
            self._progress.skipped(stage.name)
        return outcome

    def _earlier(self, stage: Stage[Outcome], key: str) -> Outcome | None:
        fields = self.marked(stage.name, key)
        try:
            outcome = None if fields is None else stage.outcome_type(**fields)
        except TypeError:  # Of a version with other fields.
            return None
        return outcome if outcome is not None and stage.is_whole(self, outcome) else None

    def marked(self, stage: str, key: str) -> dict[str, Any] | None:
        """What `mark` was given for this stage and key; None where it must be done (again)."""
        try:
            marker = read_json(self.path / f"{stage}.json")
            return marker["outcome"] if marker["key"] == key else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def mark(self, stage: str, key: str, outcome: Any) -> None:
        """Marks a stage as done with these inputs, as the last thing it does."""
        fields = outcome if isinstance(outcome, dict) else dataclasses.asdict(outcome)
        files.write_json(self.path / f"{stage}.json", {"key": key, "outcome": fields})
