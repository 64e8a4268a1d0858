"""Records of one part of a workspace, as Beam's workers make them. Without TensorFlow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from etils import epath

from data_prep.shards.write import iter_records
from data_prep.splits import split
from data_prep.workspace import pixel_parts
from mmgenre import schema


def part_records(
    number: int,
    workspace: str,
    split_name: str,
    max_tokens: int,
    num_genres: int,
    vector_sizes: dict[str, int],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (id, features) of the movies of one part that are in a split, on a worker."""
    with (epath.Path(workspace) / split.SPLIT_FILE).open("rb") as file:
        assignment = np.load(file)
    numbers = np.arange(
        number * pixel_parts.PART, min((number + 1) * pixel_parts.PART, len(assignment))
    )
    chosen = numbers[assignment[numbers] == schema.SPLITS.index(split_name)]
    for record in iter_records(workspace, chosen.tolist(), max_tokens, num_genres, vector_sizes):
        yield record.id, record.to_features()
