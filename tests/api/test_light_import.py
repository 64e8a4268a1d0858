"""`import mmgenre` costs next to nothing, whatever it offers."""

import json
import subprocess
import sys

import pytest

import mmgenre
from tests.commands import ROOT, environment

_ADDED = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(name.partition(".")[0] for name in set(sys.modules) - before)))
"""


def added_by(code: str) -> set[str]:
    """The packages that a fresh interpreter imports for some lines of Python."""
    process = subprocess.run(
        [sys.executable, "-c", _ADDED.format(code=code)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(process.stdout)) - set(sys.stdlib_module_names)


def test_importing_it_imports_no_other_package():
    assert added_by("import mmgenre; dir(mmgenre)") == {"mmgenre"}


def test_its_functions_import_neither_jax_nor_tensorflow_nor_preparation():
    added = added_by("import mmgenre; mmgenre.prepare, mmgenre.train, mmgenre.load_run")
    assert "mmgenre" in added
    assert not added & {"jax", "tensorflow", "orbax", "matplotlib", "pandas", "data_prep"}


def test_it_has_what_it_names_and_nothing_else():
    assert all(callable(getattr(mmgenre, name)) for name in mmgenre.__all__)
    assert set(mmgenre.__all__) <= set(dir(mmgenre))
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        mmgenre.trian  # noqa: B018
