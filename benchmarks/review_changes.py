"""Labels that are changed on purpose, to see whether a review finds them."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmgenre import schema
from mmgenre.dataset.label_table import ACCEPT, GENRE, GIVEN, ID, KIND, MISSING
from mmgenre.dataset.prepared import PreparedDataset, open_dataset
from mmgenre.dataset.read_split import read_split

REVIEWED = (schema.TRAIN, schema.VALIDATION)
"""The splits whose labels are changed; the test split stays as it is, and out of the review."""

Change = tuple[str, str, str]
"""Id, genre, and kind as in a review's table: "missing" to add the genre, "given" to take it."""


def read_labels(dataset: PreparedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids <str>[movies] and labels <uint8>[movies, genres] of the splits `REVIEWED`."""
    found = [read_split(dataset, split, schema.ID, schema.LABELS) for split in REVIEWED]
    ids, labels = (np.concatenate([f[name] for f in found]) for name in (schema.ID, schema.LABELS))
    return ids.astype(str), labels


def draw(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Returns changed labels <uint8>[movies, genres].

    So many labels are changed as are a share of the given ones: half of these are taken away, and
    as many are added where there was none. A movie's last genre is not taken: preparation would
    drop the movie.

    Args:
      labels: <uint8>[movies, genres].
      share: of the given labels.
      seed: of the choice.
    """
    generator = np.random.default_rng(seed)
    changed = labels.copy()
    count = round(share * int(labels.sum()))
    left = labels.sum(axis=1).astype(int)
    to_take = count // 2
    for movie, genre in generator.permutation(np.argwhere(labels == 1)).tolist():
        if to_take and left[movie] > 1:
            changed[movie, genre] = 0
            left[movie] -= 1
            to_take -= 1
    absent = np.argwhere(labels == 0)
    added = absent[generator.choice(len(absent), count - count // 2, replace=False)]
    changed[tuple(added.T)] = 1
    return changed


def changes(
    ids: np.ndarray, before: np.ndarray, after: np.ndarray, genres: Sequence[str]
) -> list[Change]:
    """Returns what leads from labels to others, as `write_table` takes it."""
    return [
        (ids[movie], genres[genre], MISSING if after[movie, genre] else GIVEN)
        for movie, genre in np.argwhere(before != after)
    ]


def write_table(path: Path, accepted: Sequence[Change]) -> None:
    """Writes a table for `prepare --label-corrections` with yes in every row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((ID, GENRE, KIND, ACCEPT))
        writer.writerows((*change, "yes") for change in accepted)


def prepare(
    metadata: Path, posters: Path | None, out: Path, corrections: Path | None = None
) -> PreparedDataset:
    """Runs the real command, which does nothing where all is done."""
    command = [sys.executable, "-m", "data_prep.prepare", "--metadata", str(metadata)]
    command += ["--out", str(out), "--progress", "none"]
    command += ["--posters", str(posters)] if posters else []
    command += ["--label-corrections", str(corrections)] if corrections else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return open_dataset(out)
