"""The files by which TensorFlow Datasets opens a prepared data set as one of its own.

Takes seconds: TFDS imports TensorFlow.
"""

import contextlib
import gc
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from etils import epath

from mmgenre import schema


def import_tfds() -> Any:
    """Returns the module `tensorflow_datasets`, imported without the garbage collector.

    At its import TFDS iterates over the globals of its modules. A warning that is given meanwhile
    changes them, and an unclosed file that the collector finds, whoever left it, gives one.
    """
    with _no_collector():
        import tensorflow_datasets as tfds
    return tfds


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def features(num_genres: int, vector_sizes: Mapping[str, int] = MappingProxyType({})) -> Any:
    """The `tfds.features.FeaturesDict` of a record; `data_prep.shards.records` encodes it."""
    tfds = import_tfds()
    return tfds.features.FeaturesDict(
        {
            schema.POSTER: tfds.features.Tensor(
                shape=schema.POSTER_SHAPE, dtype=np.uint8, encoding="bytes"
            ),
            schema.HAS_POSTER: tfds.features.Scalar(np.bool_),
            schema.TOKENS: tfds.features.Tensor(shape=(None,), dtype=np.int32),
            schema.LABELS: tfds.features.Tensor(shape=(num_genres,), dtype=np.uint8),
            schema.ID: tfds.features.Text(),
            schema.TITLE: tfds.features.Text(),
            schema.OVERVIEW: tfds.features.Text(),
            **{
                name: tfds.features.Tensor(shape=(size,), dtype=np.float16, encoding="bytes")
                for name, size in vector_sizes.items()
            },
        }
    )


def write(
    out: epath.Path,
    name: str,
    lengths: dict[str, tuple[list[int], int]],
    num_genres: int,
    vector_sizes: Mapping[str, int],
) -> None:
    """Writes what `tfds.builder_from_directory` reads: `dataset_info.json` and `features.json`.

    Args:
      out: the data set's folder.
      name: of the data set, for its description.
      lengths: by split: movies of each shard, and bytes of all Examples.
      num_genres: of the data set.
      vector_sizes: of its vectors, by feature.
    """
    tfds = import_tfds()
    for file in ("features.json", "dataset_info.json"):
        (out / file).unlink(missing_ok=True)
    template = tfds.core.ShardedFileTemplate(
        data_dir=out, dataset_name="mmgenre", filetype_suffix="tfrecord"
    )
    tfds.folder_dataset.write_metadata(
        data_dir=out,
        features=features(num_genres, vector_sizes),
        split_infos=[
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=shard_lengths,
                num_bytes=num_bytes,
                filename_template=template.replace(split=split),
            )
            for split, (shard_lengths, num_bytes) in lengths.items()
        ],
        filename_template=template,
        description=f"Movies with their genres, overviews and posters: {name}",
        check_data=False,
    )
