"""Every command with what it needs to do its work, as tests of all of them run them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.runs.directory import RunDirectory
from tests.scale_helpers import TINY, free_port


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What commands work on; they write into `folder` alone."""

    corpus: Path
    dataset: PreparedDataset
    run: RunDirectory
    table: Path
    folder: Path


@dataclasses.dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
      module: that `python -m` runs.
      arguments: of a new folder and its inputs.
      results: what it leaves in the folder, each whole or absent at any moment.
      same: whether another run leaves the same bytes; some tell the time.
    """

    module: str
    arguments: Callable[[Inputs], list[object]]
    results: tuple[str, ...] = ()
    same: bool = True


def _prepare(i: Inputs) -> list[object]:
    posters = i.corpus / "posters"
    return [
        *("--metadata", i.corpus / "movies_metadata.csv", "--posters", posters),
        *("--out", i.folder / "data", "--name", "x", "--num-shards", "3", "--processes", "2"),
    ]


def _main(i: Inputs) -> list[object]:
    return [*TINY, f"--workdir={i.folder / 'run'}", *_training(i)]


def _training(i: Inputs) -> list[object]:
    return [f"--config.data.dir={i.dataset.path}", "--config.epochs=1", "--config.batch_size=16"]


def _sweep(i: Inputs) -> list[object]:
    return [*TINY, *_training(i), f"--workdir={i.folder / 'sweep'}", "--grid", "seed=0,1"]


def _review(i: Inputs) -> list[object]:
    arguments = ["--data", i.dataset.path, "--folds", "2", "--explain", "1"]
    few = ("--config.epochs=1", "--config.batch_size=16")
    return [*TINY, *few, *arguments, "--out", i.folder / "review"]


COMMANDS = {
    "prepare": Command("data_prep.prepare", _prepare, ("data/dataset.json", "data/audit.json")),
    "inspect": Command("data_prep.inspect", lambda i: [i.corpus / "movies_metadata.csv"]),
    "verify": Command("data_prep.verify", lambda i: [i.dataset.path, "--processes", "2"]),
    "demo_corpus": Command(
        "data_prep.demo_corpus",
        lambda i: ["--out", i.folder / "corpus", "--movies", "150"],
        ("corpus/planted.jsonl", "corpus/movies_metadata.csv"),
    ),
    "main": Command("mmgenre.main", _main, ("run/evaluation-test.json", "run/report.html"), False),
    "evaluate": Command(
        "mmgenre.evaluate",
        lambda i: ["--run", i.run.path, "--data", i.dataset.path, "--out", i.folder / "e.json"],
        ("e.json",),
    ),
    "report": Command(
        "mmgenre.report",
        lambda i: ["--run", i.run.path, "--out", i.folder / "report.html"],
        ("report.html",),
        same=False,
    ),
    "predict": Command(
        "mmgenre.predict",
        lambda i: ["--run", i.run.path, "--csv", i.table, "--out", i.folder / "predictions.csv"],
        ("predictions.csv",),
    ),
    "explain": Command(
        "mmgenre.predict",
        lambda i: [
            *("--run", i.run.path, "--overview", "A boy finds a map and goes to sea."),
            *("--explain", i.folder / "why.html"),
        ],
        ("why.html",),
    ),
    "export": Command(
        "mmgenre.export",
        lambda i: ["--run", i.run.path, "--out", i.folder / "bundle"],
        ("bundle/model.stablehlo", "bundle/bundle.json"),
    ),
    "baselines": Command(
        "mmgenre.baselines",
        lambda i: ["--data", i.dataset.path, "--out", i.folder / "baselines.json"],
        ("baselines.json",),
    ),
    "sweep": Command("mmgenre.sweep", _sweep, ("sweep/results.json",), False),
    "review": Command(
        "mmgenre.review", _review, ("review/labels.csv", "review/review.html"), same=False
    ),
    "demo": Command("mmgenre.demo", lambda i: ["--run", i.run.path, "--port", free_port()]),
    "serve": Command("mmgenre.serve", lambda i: ["--run", i.run.path, "--port", free_port()]),
}
"""By name. All of them end by themselves, but for those of `SERVERS`."""

SERVERS = {"mmgenre.demo": "in a browser", "mmgenre.serve": "Ctrl-C ends it"}
"""The modules of those that end by a signal alone, and what they print once they answer."""
