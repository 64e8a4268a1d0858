"""One split of a prepared data set as a TFDS builder, which writes it on Apache Beam."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from data_prep.beam.part_records import part_records
from data_prep.shards import tfds_metadata
from data_prep.splits import split
from data_prep.workspace import pixel_parts


class MoviesBuilder(tfds.core.GeneratorBasedBuilder):
    """Reads a workspace's movies part by part, and writes those of one split.

    Args:
      split: name of the split.
      workspace: folder of the stages' results, within reach of all workers.
      max_tokens: where token sequences are cut.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
      data_dir: under which TFDS writes.
    """

    name = "mmgenre"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        split: str,
        workspace: str,
        max_tokens: int,
        num_genres: int,
        vector_sizes: dict[str, int],
        data_dir: epath.PathLike,
    ):
        self._split = split
        self._workspace = workspace
        self._max_tokens = max_tokens
        self._num_genres = num_genres
        self._vector_sizes = vector_sizes
        super().__init__(data_dir=data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self, features=tfds_metadata.features(self._num_genres, self._vector_sizes)
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # Everything is in the workspace.
        return {self._split: self._generate_examples()}

    def _generate_examples(self) -> Any:
        beam = tfds.core.lazy_imports.apache_beam
        with (epath.Path(self._workspace) / split.SPLIT_FILE).open("rb") as file:
            num_parts = pixel_parts.num_parts(len(np.load(file)))
        return (
            f"Parts of {self._split}" >> beam.Create(range(num_parts))
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.FlatMap(
                part_records,
                self._workspace,
                self._split,
                self._max_tokens,
                self._num_genres,
                self._vector_sizes,
            )
        )
