"""The parts of a checkpoint on disk, and what proves that their values are those that were saved.

Format 2 keeps two items: "params", which is all that prediction reads, and "training", the rest of
the state. Format 1 had a single item for everything; it is still read.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Self

import google_crc32c
import jax
import numpy as np
from etils import epath

from mmgenre.distributed import device_mapping
from mmgenre.errors import UserError

State = Mapping[str, Any]
"""What training changes from step to step, by name; "params" are the model's parameters."""

PARAMS: Final = "params"
TRAINING: Final = "training"
EVERYTHING: Final = "default"
"""The only item of format 1, as Orbax names it."""

ITEMS: Final = (PARAMS, TRAINING, EVERYTHING)

_FORMAT: Final = 2
_ORDER_IN_1: Final = ("step", "params", "opt_state")
_FIELDS_IN_1: Final = {"count", "mu", "nu", "trace", "inner_state", "inner_states"}
"""The fields of Optax' states: a tree that is read without an optimizer has them as keys."""


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What is written beside a checkpoint's items.

    Attributes:
      digests: the CRC-32C of each item's values, by `tree_digest`.
      score: the validation metric, higher is better; None for a checkpoint within an epoch.
      extra: the JSON value that was saved with it.
      format: of the checkpoint.
    """

    digests: Mapping[str, int]
    score: float | None
    extra: Any
    format: int = _FORMAT

    def to_json(self) -> dict[str, Any]:
        """What `read` reads."""
        return {
            "crc32c": dict(self.digests),
            "score": self.score,
            "extra": self.extra,
            "format": self.format,
        }

    @classmethod
    def read(cls, path: epath.Path, fields: Mapping[str, Any] | None) -> Self:
        """Reads the metadata of the checkpoint in a folder.

        Raises:
          UserError: another version of the program wrote it.
          ValueError: they are missing or damaged.
        """
        if not fields:
            if fields is None:
                raise ValueError("its metadata cannot be read")
            fields = {"format": "of long ago"}
        written = fields.get("format", 1 if "crc32c" in fields else "of long ago")
        if written not in (1, _FORMAT):
            raise UserError(
                f"the checkpoint {path} was written by another version of mmgenre (format "
                f"{written}, this one reads 1 and {_FORMAT}); use that version, or train anew in "
                "another --workdir"
            )
        try:
            crc = fields["crc32c"]
            digests = {EVERYTHING: int(crc)} if written == 1 else dict(crc)
            return cls(digests, fields["score"], fields["extra"], written)
        except (KeyError, TypeError) as error:
            raise ValueError(f"its metadata are damaged: {error}") from error

    def prove(self, items: Mapping[str, Any]) -> bool:
        """Whether the values of these items are those that were saved."""
        digest = _digest_in_1 if self.format == 1 else tree_digest
        return all(digest(tree) == self.digests.get(name) for name, tree in items.items())


def split(state: State, written: int = _FORMAT) -> dict[str, Any]:
    """Returns the items that hold a state, or the parts of it that are there, in a format."""
    if written == 1:
        return {EVERYTHING: dict(state)}
    training = {name: part for name, part in state.items() if name != PARAMS}
    return {PARAMS: state[PARAMS], **({TRAINING: training} if training else {})}


def join(items: Mapping[str, Any]) -> State:
    """Returns the state that items hold; the opposite of `split`."""
    if EVERYTHING in items:
        return items[EVERYTHING]
    return {PARAMS: items[PARAMS], **items.get(TRAINING, {})}


def everything_like(tree: State, like: State) -> State:
    """Returns what a whole state of format 1 is to be read as, where only parts are wanted.

    Its digest is over everything, so that no part of it can be proved alone.

    Args:
      tree: shapes and dtypes of what was saved, as Orbax tells them.
      like: the parts that are wanted, of `jax.ShapeDtypeStruct`; their placement holds for all.
    """
    sharding = jax.tree.leaves(like)[0].sharding

    def as_struct(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(tuple(leaf.shape), leaf.dtype, sharding=sharding)

    return {**jax.tree.map(as_struct, dict(tree)), **like}


def tree_digest(tree: Any) -> int:
    """Returns the CRC-32C over the names, shapes, dtypes and bytes of all leaves of a pytree."""
    crc = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        crc = _extend(crc, jax.tree_util.keystr(path), leaf)
    return crc


def _digest_in_1(state: State) -> int:
    crc = 0
    for part in _ORDER_IN_1:
        for path, leaf in jax.tree_util.tree_leaves_with_path(state[part]):
            crc = _extend(crc, f".{part}{''.join(map(_name_in_1, path))}", leaf)
    return crc


def _name_in_1(key: Any) -> str:
    if isinstance(key, jax.tree_util.DictKey) and key.key in _FIELDS_IN_1:
        return f".{key.key}"
    return str(key)


def _extend(crc: int, name: str, leaf: Any) -> int:
    value = np.ascontiguousarray(device_mapping.host_value(leaf))
    crc = google_crc32c.extend(crc, f"{name} {value.shape} {value.dtype}".encode())
    return google_crc32c.extend(crc, value.tobytes())
