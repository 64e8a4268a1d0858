"""Config files: found by path or by name, and every mistake in one of them one line."""

import pytest

from mmgenre import config_file
from mmgenre.config import Config
from mmgenre.errors import UserError


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "c.py") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_config_is_found_by_path_and_by_name(tmp_path, monkeypatch):
    by_path = config_file.load("configs/model2.py:trial")
    assert by_path.is_locked
    monkeypatch.chdir(tmp_path)
    assert config_file.load("model2:trial") == by_path
    assert Config.from_config_dict(config_file.load("model0")).name == "model0"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nope.py", "does not exist"), ("configs", "is a folder"), ("pyproject.toml", "no Python")],
)
def test_no_config_file(name, reason):
    with pytest.raises(UserError, match=reason) as error:
        config_file.load(name)
    assert f"'{name}'" in str(error.value)
    assert "there are configs/model0.py, configs/model1.py, configs/model2.py" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:", ", line 1: SyntaxError: invalid syntax"),
        ("x = 1\nimport nope", ", line 2: ModuleNotFoundError: No module named 'nope'"),
        ("x = 1", ": it has no function get_config"),
        ("def get_config():\n  raise ValueError('a\\nb')", ": a"),
        ("def get_config():\n  raise ValueError()", ": ValueError"),
        ("def get_config():\n  return 1 / 0", ", line 2: ZeroDivisionError: division by zero"),
        ("def get_config():\n  return {}", "returns dict, but it must return a ConfigDict"),
        ("def get_config(variant):\n  return 1", "missing 1 required positional argument"),
    ],
)
def test_a_broken_config_file(write, text, message):
    path = write(text)
    with pytest.raises(UserError) as error:
        config_file.load(path)
    assert str(error.value).startswith(f"the config {path}")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
