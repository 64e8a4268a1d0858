"""Who may import whom: the design's import order, left never imports right."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mmgenre"

LAYERS = (
    {"curves", "environment", "errors", "overview_text", "schema"},
    {
        "compiled_cache",
        "config_values",
        "interruption",
        "membership",
        "metric_rows",
        "peers",
        "processor",
        "remote",
    },
    {"cluster", "config", "prepared_dataset", "run_lock"},
    {"kernels", "posters", "random_streams"},
    {
        "bootstrap",
        "bundle_files",
        "cooccurrence",
        "pages",
        "predictions_table",
        "thresholds",
        "tokenizer",
    },
    {"batch_plan", "bundle", "losses", "models", "optimizer", "poster_source"},
    {"run_directory", "run_log", "shard_reader"},
    {"evaluation_record", "input_pipeline", "metrics", "report_tables", "training_session"},
    {
        "baseline_models",
        "calibration",
        "initial_values",
        "modality",
        "operating_points",
        "train_state",
    },
    {"report", "steps"},
    {"branches", "parallel"},
    {"attribution", "baselines", "checkpoint_files", "device_resident", "metric_log", "programs"},
    {"checkpoint", "training_feed", "training_log"},
    {"best_params", "damaged_checkpoints"},
    {"predictor", "split_predictions"},
    {"evaluation"},
    {"batch_prediction", "explain", "export"},
    {"demo", "evaluate", "predict", "tensorboard_figures", "train"},
    {"main"},
    {"sweep"},
)
IMPORTS_TENSORFLOW = {
    "input_pipeline",
    "metric_log",
    "tensorboard_figures",
    "train",
    "training_log",
}
"""The modules that may import TensorFlow, or CLU's writers, which do."""


def imports(path: Path) -> set[str]:
    """The modules that a file imports anywhere, with dots."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


def test_every_module_has_a_layer():
    assert {part(path) for path in modules()} == set.union(*LAYERS)


def test_no_module_imports_a_later_layer():
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for path in modules():
        for name in imports(path):
            if name.startswith("mmgenre."):
                imported = name.split(".")[1]
                if imported not in (part(path), "__version__"):
                    assert rank[imported] < rank[part(path)], f"{path.name} imports {name}"


def test_only_main_imports_the_preparation():
    importers = {
        part(path)
        for path in modules()
        if any(name.split(".")[0] == "data_prep" for name in imports(path))
    }
    assert importers == {"demo", "main"}  # Both show the demo corpus.


def test_only_the_input_imports_tensorflow():
    heavy = {"tensorflow", "tensorflow_datasets", "clu"}
    importers = {
        part(path) for path in modules() if {n.split(".")[0] for n in imports(path)} & heavy
    }
    assert importers <= IMPORTS_TENSORFLOW


def test_only_the_checkpoints_import_orbax():
    importers = {
        part(path)
        for path in modules()
        if any(name.split(".")[0] == "orbax" for name in imports(path))
    }
    assert importers == {"checkpoint"}


def test_preparation_imports_only_the_shared_modules():
    shared = {"schema", "overview_text", "tokenizer", "posters", "prepared_dataset", "errors"}
    for path in sorted((PACKAGE.parent / "data_prep").glob("*.py")):
        for name in imports(path):
            if name.startswith("mmgenre."):
                assert name.split(".")[1] in shared, f"{path.name} imports {name}"
