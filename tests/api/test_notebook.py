"""The notebook, executed by a kernel as a user does. It is stored without outputs, which would
only go stale: this test is what says that it runs.
"""

import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, environment

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


def cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in cells(notebook))


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_it_promises(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for name, value in environment(optimized=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{environment()['PATH']}")
    nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    results = [
        output.data
        for cell in cells(notebook)
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    movies, data, run, evaluation, genres, table, page = results
    assert "overview" in movies["text/html"] and "PreparedData" in data["text/plain"]
    assert "quickstart/run" in run["text/plain"]
    assert "<table>" in evaluation["text/html"] and "TF-IDF" in evaluation["text/plain"]
    assert genres["text/plain"].startswith("[") and "genres" in table["text/html"]
    assert "why.html" in page["text/plain"] and (tmp_path / "quickstart" / "why.html").is_file()
    shown = "".join(o.text for c in cells(notebook) for o in c.outputs if "text" in o)
    assert "epoch 6/6" in shown
