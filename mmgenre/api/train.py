"""`mmgenre.train`: a config, and settings by keyword, become a trained run."""

import os
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mmgenre import config_file
from mmgenre.api import child_command
from mmgenre.api.prepared_data import PreparedData, StrPath
from mmgenre.api.run import Run
from mmgenre.config import Config
from mmgenre.config_values import Value, flatten, nest, settings, unknown
from mmgenre.errors import UserError

_BASE = "model1"
"""What a config that is no file is written down against."""


def train(
    data: PreparedData | StrPath | None = None,
    config: str | os.PathLike[str] | ConfigDict | Config = "model2",
    *,
    workdir: StrPath | None = None,
    quiet: bool = False,
    **overrides: Any,
) -> Run:
    """Trains a model and evaluates it, as `python -m mmgenre.main` does, in a process of its own.

    Returns when the run is finished. Interrupted by Ctrl-C, it saves; called again with the same
    arguments, it goes on from there, or returns a finished run at once.

    Args:
      data: what `mmgenre.prepare` returns, or the folder of a prepared data set; None for the
        built-in demo corpus, or what the config names.
      config: the name of a config ("model0", "model1", "model2", or "model2:trial"), the path of a
        config file, or a config.
      workdir: folder of the run; by default `runs/` and the config's name.
      quiet: whether to print nothing.
      **overrides: settings, such as `epochs=10`; of a group by the last part of their name
        (`cnn_dropout=0.1`), as a mapping (`model={"cnn_dropout": 0.1}`), or in full
        (`**{"model.cnn_dropout": 0.1}`).

    Raises:
      UserError: no such config or setting, a wrong value, or data that do not fit; in the words of
        the command.
      RunError: training failed, such as by a loss that is not finite.
    """
    if isinstance(config, Config | ConfigDict):
        name, base, given = _BASE, config_file.load(_BASE), _fields(config)
    else:
        name = os.fspath(config)
        base = config_file.load(name)
        given = _fields(base)
    given |= _by_full_names(overrides)
    if data is not None:
        folder = data.path if isinstance(data, PreparedData) else data
        given["data.dir"] = os.fspath(folder)
    wanted = Config.from_config_dict(nest(given))
    before = flatten(Config.from_config_dict(base))
    changed = {key: value for key, value in flatten(wanted).items() if value != before[key]}
    path = f"runs/{wanted.name}" if workdir is None else os.fspath(workdir)
    arguments = [f"--config={name}", f"--workdir={path}"]
    arguments += [f"--config.{key}={_written(value)}" for key, value in changed.items()]
    child_command.run("mmgenre.main", arguments, shown="nothing" if quiet else "all")
    return Run.load(path)


def _fields(config: Config | ConfigDict) -> dict[str, Value]:
    checked = config if isinstance(config, Config) else Config.from_config_dict(config)
    return flatten(checked)


def _by_full_names(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by the full names of their settings; raises UserError where there is none."""
    known = settings(Config)
    full: dict[str, Any] = {}
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            full |= _by_full_names({f"{name}.{leaf}": each for leaf, each in value.items()})
            continue
        found = [name] if name in known else [k for k in known if k.endswith(f".{name}")]
        if len(found) != 1:
            raise UserError(unknown(name, known))
        full[found[0]] = value.item() if hasattr(value, "item") else value  # NumPy's numbers.
    return full


def _written(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({','.join(map(str, value))},)" if value else "()"
    return str(value)
