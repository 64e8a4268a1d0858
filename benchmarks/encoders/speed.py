"""The stage *encode* beside the encoder called bare, in movies a second.

    python -m benchmarks.encoders.speed --sample <folder with movies_metadata.csv and posters/> \
        --text_encoder sentence-transformers:<folder> \
        --poster_encoder benchmarks.encoders.efficientnet_lite0:encoder --json encoding.json

Bare: `encode` of the encoder itself, on texts or on pictures that lie decoded in memory, in batches
of the same size, similar lengths together. The stage: reading what is to be encoded, decoding
posters, encoding, and keeping what was said, with an empty cache. Both encode the same movies with
the same loaded encoder, in turns, after one turn that does not count; the medians count.
"""

import argparse
import csv
import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from tabulate import tabulate

from benchmarks.machine import describe_machine
from data_prep.encode import asked, batches, known_encoder, vector_files
from data_prep.encode.encode import Encode, EncodePlan
from data_prep.posters.poster_folder import Folder
from data_prep.prepare import PrepareConfig, prepare
from data_prep.splits import split
from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Workspace
from mmgenre import schema
from mmgenre.inputs.poster_places import DEFAULT_WIDTH

_FEATURES: Final = {
    "text_encoder": schema.OVERVIEW_VECTOR,
    "poster_encoder": schema.POSTER_VECTOR,
}


@dataclasses.dataclass
class Measured:
    """Seconds of each turn, and what was encoded in it."""

    inputs: int
    stage: list[float]
    bare: list[float]

    def ratio(self) -> float:
        """The stage's speed as a part of the bare encoder's."""
        return statistics.median(self.bare) / statistics.median(self.stage)


def measure(sample: Path, feature: str, spec: str, num_movies: int, rounds: int) -> Measured:
    """Encodes the first movies of a sample that have a poster, by the stage and bare."""
    with tempfile.TemporaryDirectory(prefix="mmgenre-bench-") as folder:
        metadata = _first_movies(sample, Path(folder), num_movies)
        posters = sample / "posters"
        prepare(PrepareConfig(metadata, posters, Path(folder) / "out", progress="none"))
        with Workspace(Path(folder) / "out" / ".work") as workspace:
            encoder = known_encoder.find(workspace, spec, feature)
            source = Folder(posters, DEFAULT_WIDTH)
            inputs = _inputs(workspace, feature, source, encoder.loaded().side)
            bare = encoder.loaded().encoder

            def stage_turn() -> None:
                for cache in Path(workspace.path / vector_files.FOLDER).glob("*.cache"):
                    cache.unlink()
                Encode(EncodePlan("", {feature: encoder}), source).run(workspace, Progress("none"))

            def bare_turn() -> None:
                for batch in inputs:
                    bare.encode(batch)

            turns = [(_seconds(stage_turn), _seconds(bare_turn)) for _ in range(1 + rounds)]
    stage, alone = zip(*turns[1:], strict=True)
    return Measured(sum(map(len, inputs)), list(stage), list(alone))


def _seconds(turn: Callable[[], None]) -> float:
    start = time.perf_counter()
    turn()
    return time.perf_counter() - start


def _first_movies(sample: Path, folder: Path, num_movies: int) -> Path:
    with (sample / "movies_metadata.csv").open(newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        place = header.index("poster_path")
        there = {path.name for path in (sample / "posters").iterdir()}
        chosen = (row for row in rows if row[place:] and row[place].lstrip("/") in there)
        first = list(itertools.islice(chosen, num_movies))
    path = folder / "movies_metadata.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *first])
    return path


def _inputs(workspace: Workspace, feature: str, source: Folder, side: int) -> list[list[Any]]:
    """Returns what the stage gives to an encoder, batch by batch."""
    kept = np.load(workspace.path / split.SPLIT_FILE) != split.DROPPED
    with MovieFile(workspace.path) as movies, ThreadPoolExecutor() as threads:
        found = {
            key: what
            for part in range(pixel_parts.num_parts(len(movies)))
            for _, key, what in asked.asked_of_part(
                feature, workspace.path, part, movies, kept, source.locate, threads
            )
        }
        loading = batches.batches(list(found.items()), asked.loader(side), threads)
        return [inputs for _, inputs in loading]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders.speed")
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--text_encoder", metavar="SPEC")
    parser.add_argument("--poster_encoder", metavar="SPEC")
    parser.add_argument("--movies", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for option, feature in _FEATURES.items():
        spec = getattr(options, option)
        if spec is not None:
            found[option] = measure(options.sample, feature, spec, options.movies, options.rounds)
    rows = [
        [
            name,
            each.inputs,
            each.inputs / statistics.median(each.stage),
            each.inputs / statistics.median(each.bare),
            each.ratio(),
        ]
        for name, each in found.items()
    ]
    head = ["", "encoded", "stage: movies/s", "bare: movies/s", "stage / bare"]
    print(tabulate(rows, head, floatfmt=("", "", ".1f", ".1f", ".2f")))
    if options.json is not None:
        results = {name: vars(each) | {"ratio": each.ratio()} for name, each in found.items()}
        text = json.dumps({"machine": describe_machine(), "results": results}, indent=2)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
