"""Config files and the settings that a command line changes: found, loaded, mistakes explained.

Imports nothing heavy, so that a mistake is answered at once.
"""

import importlib.util
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from absl import flags
from ml_collections import ConfigDict

from mmgenre.config import Config
from mmgenre.config_values import settings, unknown
from mmgenre.errors import UserError

_BUILT_IN: Final = Path(__file__).parent / "configs"
_OVERRIDE: Final = re.compile(r"--?(?:no)?config\.([^=]*)")
_ILLEGAL: Final = re.compile(r"flag --(?P<name>[^=]*)=(?P<rest>.*)", re.DOTALL)


class ConfigFileParser(flags.ArgumentParser[ConfigDict]):
    """Reads `--config <file>` or `--config <file>:<variant>`, for absl's flags.

    Attributes:
      loaded: the config that was read last.
    """

    loaded: ConfigDict | None = None

    def parse(self, argument: str) -> ConfigDict:
        """Returns what the file's `get_config` returns, locked; raises UserError where it fails."""
        self.loaded = load(argument)
        return self.loaded

    def flag_type(self) -> str:
        """What help calls it."""
        return "config file"


def load(argument: str) -> ConfigDict:
    """Runs a config file.

    Args:
      argument: the file, or the name of a built-in config, and behind a colon what its
        `get_config` is to be given.

    Raises:
      UserError: there is no such file, or something is wrong in it.
    """
    name, colon, variant = argument.partition(":")
    path = find(name)
    spec = importlib.util.spec_from_file_location("config_file", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "get_config", None)):
            raise UserError("it has no function get_config")
        config = module.get_config(*([variant] if colon else []))
    except Exception as error:  # The config file is the user's code: anything can go wrong in it.
        raise UserError(f"the config {argument}{_place(error, path)}: {_says(error)}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"the config {argument}: get_config returns {type(config).__name__}, but it must "
            "return a ConfigDict: change one of mmgenre.config.default_config()"
        )
    return config.lock()


def built_in_names() -> list[str]:
    """Returns the names of the built-in configs."""
    return sorted(file.stem for file in _BUILT_IN.glob("*.py"))


def find(name: str) -> Path:
    """Returns the path of a config file, given as such or by the name of a built-in config.

    Raises:
      UserError: there is none.
    """
    path = Path(name)
    built_in = _BUILT_IN / f"{name}.py"
    if name.isidentifier() and not path.is_file() and built_in.is_file():
        return built_in
    if path.is_file() and path.suffix == ".py":
        return path
    reason = "is no Python file" if path.is_file() else "does not exist"
    if name and path.is_dir():
        reason = "is a folder"
    folder = path if name and path.is_dir() else Path("configs")
    there = sorted(map(str, folder.glob("*.py"))) if folder.is_dir() else []
    there = there or built_in_names()
    raise UserError(f"the config {name!r} {reason}; there are {', '.join(there)}")


def _place(error: Exception, path: Path) -> str:
    """Where in a config file an error is, in words; "" where the file means to say something."""
    if isinstance(error, UserError | ValueError) and not isinstance(error, SyntaxError):
        return ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f", line {line}" if line else ""


def _says(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = (text.strip().splitlines() or [""])[0]
    if isinstance(error, UserError | ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def explain(error: Exception, config: ConfigDict | None, argv: Sequence[str]) -> str:
    """Says what is wrong with a command line that absl's flags refuse.

    Args:
      error: what they raised.
      config: of the config file; None where it was not loaded.
      argv: the command line.
    """
    known = settings(Config)
    for argument in argv if config is not None else ():
        override = _OVERRIDE.match(argument)
        if override and override[1] not in known:
            return unknown(override[1], known)
    message = str(error).strip()
    illegal = _ILLEGAL.match(message)
    if illegal is None:
        return " ".join(message.split())
    flag = illegal["name"]
    values = [a.partition("=")[2] for a in argv if re.match(rf"--?{re.escape(flag)}=", a)]
    value = values[-1] if values else illegal["rest"].partition(":")[0]
    if setting := known.get(flag.removeprefix("config.")):
        return f"{flag} is {value!r}, but it must be {setting.written}"
    rule = illegal["rest"].removeprefix(f"{value}: ")
    if rule.startswith("invalid literal for int()"):
        return f"--{flag} is {value!r}, but it must be a whole number"
    return f"--{flag} is {value!r}: {' '.join(rule.split())}"
