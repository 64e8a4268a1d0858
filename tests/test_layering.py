"""Who may import whom. A room imports only rooms that stand before it; inside a room no circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROOMS = {
    "mmgenre": (
        "shared",  # schema, errors, config: what all rooms share
        "machine",  # this computer: processor, files, signals, logs
        "html",  # pages without a network
        "catalogue",  # a table of movies in any form
        "inputs",  # one movie as bytes and text
        "encoders",  # frozen encoders of others, and what is recorded of them
        "dataset",  # a prepared data set, and batches of it
        "kernels",  # convolution and LSTM, fast and plain
        "models",  # the network
        "distributed",  # processes and devices
        "runs",  # what a run leaves on disk
        "decisions",  # probabilities and thresholds
        "evaluation",  # how good the answers are
        "training",  # how a network learns
        "report",  # what people look at
        "prediction",  # a finished model at work
        "serving",  # the same, for programs over HTTP
        "sweep",  # many runs
        "review",  # labels that look wrong
        "api",  # three lines of Python: the same commands, called
        "commands",  # parse, one late import, call
    ),
    "data_prep": (
        "shared",  # options
        "workspace",  # results of stages on disk, workers, progress
        "metadata",  # rows to movies
        "posters",  # fetch and decode
        "splits",  # duplicates, splits, vocabulary
        "encode",  # vectors of frozen encoders
        "shards",  # records, shards, index, audit
        "beam",  # decoding and writing on Apache Beam
        "demo",  # the demo corpus
        "commands",  # prepare, verify, the demo corpus
    ),
    "benchmarks": ("commands",),
}
SHARED = {"__init__", "schema", "errors", "config", "config_values", "config_file", "options"}
SIBLINGS = {"training", "report", "prediction"}
"""None of these imports another, in whatever order they stand."""

LARGEST_ROOM = 18
"""Modules that one can still take in at a glance."""

MAY_IMPORT_DATA_PREP = {
    "api/prepared_data.py",  # It knows the options of `prepare`, and runs it in another process.
    "main.py",  # Both show the demo corpus.
    "prediction/web_page.py",
}
MAY_IMPORT_TENSORFLOW = {
    "dataset/example_parser.py",
    "report/tensorboard.py",
    "training/log.py",
    "training/metric_writers.py",
    "training/trainer.py",
}
"""The modules that may import TensorFlow, or CLU's writers, which do."""
MAY_IMPORT_ORBAX = {"runs/checkpoints.py"}
SHARED_WITH_DATA_PREP = {
    "schema",
    "errors",
    "machine",
    "catalogue",
    "inputs",
    "encoders",
    "dataset",
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules and names that a file imports anywhere, with dots."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def place(path: Path) -> str:
    """Where a module stands in its package, such as "runs/lock.py"."""
    return str(Path(*path.relative_to(ROOT).parts[1:]))


def room(path: Path) -> str:
    """The room of a module; one at the top, or the command of a room, is no part of a room."""
    parts = path.relative_to(ROOT).parts[1:]
    if len(parts) > 1 and path.name != "__main__.py":
        return parts[0]
    return "shared" if path.stem in SHARED else "commands"


def find(package: str, name: str) -> Path | None:
    """The file of an imported name, such as "mmgenre.runs.lock.held"; None for another package."""
    parts = name.split(".")
    if parts[0] != package:
        return None
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.exists():
                return candidate
    return None


def imported_files(package: str, path: Path) -> Iterator[Path]:
    if path == ROOT / package / "__init__.py":
        return  # The package's face names what is looked up later; see test_import_is_light.
    for name in imports(path):
        target = find(package, name)
        if target is not None and target != path:
            yield target


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_rooms_before_it(package: str):
    rank = {name: number for number, name in enumerate(ROOMS[package])}
    for path in modules(package):
        mine = "commands" if package == "benchmarks" else room(path)
        for target in imported_files(package, path):
            other = "commands" if package == "benchmarks" else room(target)
            message = f"{place(path)} imports {place(target)}"
            assert rank[other] <= rank[mine], message
            assert other == mine or not {other, mine} <= SIBLINGS, message


@pytest.mark.parametrize("package", ROOMS)
def test_no_modules_import_each_other_in_a_circle(package: str):
    targets = {path: set(imported_files(package, path)) for path in modules(package)}
    done: set[Path] = set()

    def walk(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, " -> ".join(place(p) for p in (*above, path))
        if path not in done:
            for target in targets[path]:
                walk(target, (*above, path))
            done.add(path)

    for path in targets:
        walk(path, ())


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_can_be_taken_in_at_a_glance(package: str):
    if package == "benchmarks":
        return
    for name in ROOMS[package]:
        folder = ROOT / package / name
        count = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        assert count <= LARGEST_ROOM, folder


def importers_of(*packages: str) -> set[str]:
    return {
        place(path)
        for path in modules("mmgenre")
        if {name.split(".")[0] for name in imports(path)} & set(packages)
    }


def test_only_three_modules_import_the_preparation():
    assert importers_of("data_prep") == MAY_IMPORT_DATA_PREP


def test_only_the_input_and_the_logs_import_tensorflow():
    assert importers_of("tensorflow", "tensorflow_datasets", "clu") <= MAY_IMPORT_TENSORFLOW


def test_only_the_checkpoints_import_orbax():
    assert importers_of("orbax") == MAY_IMPORT_ORBAX


def test_the_preparation_imports_only_what_is_shared_with_it():
    for path in modules("data_prep"):
        for name in imports(path):
            if name.startswith("mmgenre."):
                assert name.split(".")[1] in SHARED_WITH_DATA_PREP, f"{place(path)}: {name}"
