"""An exported model as a folder: what is in it, and how to open one. No TensorFlow, no Orbax.

bundle.json       version, genres, thresholds, JAX's versions, checksums of the other files
model.stablehlo   the model, its parameters in it
tokenizer.json  thresholds.json  MODEL_CARD.md  example.py
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np

from mmgenre import schema
from mmgenre.decisions.situations import SituationRules
from mmgenre.encoders.encoder_info import EncoderInfo, encoders_from_fields, vector_sizes
from mmgenre.errors import UserError, first_line
from mmgenre.inputs.tokenizer import OverviewTokenizer
from mmgenre.machine.json_files import read_json

FORMAT_VERSION: Final = 1
"""Raised whenever an older reader would misread a newer bundle."""

VECTORS_VERSION: Final = 2
"""The format of a bundle whose model takes vectors of frozen encoders, too."""

MANIFEST: Final = "bundle.json"
MODEL: Final = "model.stablehlo"
MAX_TOKENS: Final = 1 << 16
"""Words that a model reads at the most; a buffer of so many is made for each movie."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    Attributes:
      exported: `jax.export.Exported`: posters, tokens and lengths to probabilities.
      tokenizer: of the overviews.
      rules: their thresholds; scales and biases are in the model already.
      max_tokens: words that the model reads.
      name: of the run that was exported; and
      step: of training, that its parameters are from.
      encoders: of the vectors that the model takes besides, by feature.
    """

    exported: Any
    tokenizer: OverviewTokenizer
    rules: SituationRules
    max_tokens: int
    name: str
    step: int
    encoders: dict[str, EncoderInfo]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens a bundle, checking all of it, and has the model answer once.

        Raises:
          UserError: `folder` is no bundle, a file is missing or damaged, it is of another format
            than this program reads, or the JAX that is installed cannot run the model.
        """
        from jax import export

        manifest = read_manifest(folder)
        try:
            exported = export.deserialize(bytearray((folder / MODEL).read_bytes()))
            # Reading is lazy: what this JAX does not know shows when it runs.
            blank = np.zeros((1, *schema.POSTER_SHAPE), np.uint8)
            words = np.zeros((1, int(manifest["max_tokens"])), np.int32)
            encoders = encoders_from_fields(manifest.get("vectors", {}))
            vectors = [np.zeros((1, n), np.float32) for n in vector_sizes(encoders).values()]
            exported.call(blank, words, np.ones(1, np.int32), *vectors).block_until_ready()
        except Exception as error:  # The library raises what its reader meets.
            raise UserError(
                _not_for_this_jax(folder / MODEL, manifest.get("jax"), error)
            ) from error
        return cls(
            exported=exported,
            tokenizer=OverviewTokenizer.load(folder / "tokenizer.json"),
            rules=SituationRules.load(folder, tuple(manifest["genres"])),
            max_tokens=int(manifest["max_tokens"]),
            name=str(manifest.get("name") or folder.name),
            step=step if type(step := manifest.get("step")) is int else 0,
            encoders=encoders,
        )

    def probabilities(
        self,
        posters: np.ndarray,
        tokens: list[np.ndarray],
        vectors: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> np.ndarray:
        """Returns <float32>[movies, genres] of posters <uint8>[movies, 64, 64, 3] and words.

        And of vectors <float>[movies, size] by feature, one for each of `encoders`.
        """
        further = [vectors[name].astype(np.float32) for name in vector_sizes(self.encoders)]
        words = np.full((len(tokens), self.max_tokens), schema.PAD_ID, np.int32)
        lengths = np.ones(len(tokens), np.int32)
        for row, ids in enumerate(tokens):
            ids = ids[: self.max_tokens]
            words[row, : len(ids)] = ids
            lengths[row] = max(1, len(ids))
        return np.asarray(self.exported.call(posters, words, lengths, *further))


def _not_for_this_jax(model: Path, versions: object, error: Exception) -> str:
    """What to say of a model that is whole, as its checksum tells, and does not run."""
    import jax

    wrote = "JAX wrote it"
    if isinstance(versions, dict):
        wrote = "JAX {written_by} wrote it; {oldest_tried} to {newest_tried} were tried".format(
            **{
                key: str(versions.get(key))
                for key in ("written_by", "oldest_tried", "newest_tried")
            }
        )
    return (
        f"{model} is whole, but JAX {jax.__version__} cannot run it: {first_line(error)}. "
        f"{wrote}. Install one that can, or export the run again with this one"
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a bundle's manifest and checks the other files against it; raises UserError."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        version, files = int(manifest["format_version"]), dict(manifest["files"])
        genres, max_tokens = tuple(manifest["genres"]), manifest["max_tokens"]
        if type(max_tokens) is not int or not 0 < max_tokens <= MAX_TOKENS:
            raise ValueError(f"max_tokens is {max_tokens}")
        if not genres or not all(type(genre) is str for genre in genres):
            raise ValueError("the genres are no list of names")
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        reason = "missing" if not path.exists() else "damaged"
        raise UserError(f"{folder} is no bundle: {MANIFEST} is {reason}") from error
    if version not in (FORMAT_VERSION, VECTORS_VERSION):
        raise UserError(
            f"the bundle {folder} has format {version}, but this program reads {FORMAT_VERSION} "
            f"and {VECTORS_VERSION}; "
            "update mmgenre, or export the run again"
        )
    if MODEL not in files:
        raise UserError(f"the bundle {folder} is incomplete: {MODEL} is not listed in {MANIFEST}")
    for name, digest in files.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise UserError(f"the bundle {folder} is incomplete: {name} is missing")
        if file_digest(file) != digest:
            raise UserError(f"the bundle {folder} is damaged: {name} is not what was exported")
    return manifest


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
