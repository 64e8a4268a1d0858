"""Encodes one part of a workspace, on a worker of Apache Beam.

What an encoder has said of a part is kept by the keys of texts and pictures: a part that is encoded
is not encoded again, and one that changed costs what is new in it.
"""

import concurrent.futures
import threading
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import apache_beam as beam
import numpy as np
from apache_beam.utils import shared
from etils import epath

from data_prep.encode import vector_files
from data_prep.encode.asked import asked_of_part, loader
from data_prep.encode.batches import batches
from data_prep.options import PrepareConfig
from data_prep.posters.poster_folder import Folder
from data_prep.posters.poster_source import NO_PATH, Locate
from data_prep.splits import split
from data_prep.workspace import workers
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.stages import digest, make_folder
from mmgenre.encoders.encoder import FrozenEncoder
from mmgenre.encoders.encoder_info import EncoderInfo
from mmgenre.encoders.load import load_same
from mmgenre.machine import files

_KEY: Final = 16


class EncodePart(beam.DoFn):
    """Encodes the parts that it is given as (feature, number).

    Each process loads each encoder once, whatever the number of its threads, and only where a part
    has something new for it.

    Args:
      workspace: folder of the stages' results, within reach of all workers.
      config: of the posters.
      infos: of the encoders, by feature.
    """

    def __init__(self, workspace: str, config: PrepareConfig, infos: Mapping[str, EncoderInfo]):
        self._workspace, self._config, self._infos = workspace, config, dict(infos)
        self._shared = shared.Shared()  # One for both: a process keeps the object of one alone.

    def process(self, element: tuple[str, int]) -> None:
        """Raises UserError where an encoder fails or is another here, or a poster is gone."""
        feature, part = element
        info = self._infos[feature]
        with (
            MovieFile(self._workspace) as movies,
            concurrent.futures.ThreadPoolExecutor(workers.num_cores()) as threads,
        ):
            with (epath.Path(self._workspace) / split.SPLIT_FILE).open("rb") as file:
                kept = np.load(file) != split.DROPPED
            asked = list(
                asked_of_part(feature, self._workspace, part, movies, kept, self._locate(), threads)
            )
            said = _Said(self._workspace, feature, info, part)
            new = {key: what for _, key, what in asked if key not in said.vectors}
            if new:
                encoder = self._shared.acquire(lambda: _Encoders(self._infos)).loaded(feature)
                for keys, inputs in batches(list(new.items()), loader(encoder.side), threads):
                    vectors = encoder.encode(inputs).astype("<f2")
                    said.vectors |= {
                        key: row.tobytes() for key, row in zip(keys, vectors, strict=True)
                    }
                said.keep()
            vector_files.write_part(
                self._workspace,
                feature,
                part,
                len(movies),
                {number: said.vectors[key] for number, key, _ in asked},
                info.size,
            )

    def _locate(self) -> Locate:
        if self._config.posters is None:
            return lambda movie: ("", NO_PATH)
        return Folder(self._config.posters, self._config.width).locate


class _Encoders:
    """The encoders of a process, each loaded when it is first needed."""

    def __init__(self, infos: Mapping[str, EncoderInfo]):
        self._infos = infos
        self._lock = threading.Lock()
        self._loaded: dict[str, FrozenEncoder] = {}

    def loaded(self, feature: str) -> FrozenEncoder:
        with self._lock:
            if feature not in self._loaded:
                info = self._infos[feature]
                self._loaded[feature] = load_same(info, feature, "a worker of --runner")
            return self._loaded[feature]


class _Said:
    """What an encoder has said of the movies of a part: `vectors` by key, as bytes."""

    def __init__(self, workspace: str, feature: str, info: EncoderInfo, part: int):
        facts = digest(info.facts())
        root = epath.Path(workspace) / vector_files.FOLDER
        self._path = root / f"{feature}-{facts}" / f"{part:05d}.npz"
        self._size = info.size
        self.vectors = self._read()

    def _read(self) -> dict[bytes, bytes]:
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                keys, vectors = arrays["keys"], arrays["vectors"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}  # None yet, or it is damaged.
        if keys.shape != (len(vectors), _KEY) or vectors.shape[1:] != (self._size,):
            return {}
        rows = zip(keys.astype(np.uint8), vectors.astype("<f2"), strict=True)
        return {key.tobytes(): vector.tobytes() for key, vector in rows}

    def keep(self) -> None:
        """Writes them, whole or not at all."""
        arrays: dict[str, Any] = {
            "keys": np.frombuffer(b"".join(self.vectors), np.uint8).reshape((-1, _KEY)),
            "vectors": np.frombuffer(b"".join(self.vectors.values()), "<f2").reshape(
                (-1, self._size)
            ),
        }
        make_folder(self._path.parent)
        with files.atomic_write(self._path) as file:
            np.savez(file, **arrays)
