"""Every setting of an experiment in words: for --help, for docs/settings.md, for completion."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mmgenre.config import Config
from mmgenre.config_file import load
from mmgenre.config_values import Setting, Value, flatten, settings
from mmgenre.machine.command_line import ArgumentParser

_WIDTH: Final = 80
_GROUPS: Final = {"": "The experiment", "data": "The data", "model": "The model"}
_PAGE: Final = """# Settings

Every setting of an experiment, as `mmgenre train --help` prints them. A file under `configs/` sets
them, and the command line changes single ones:

    mmgenre train --config model2 --config.epochs=10 --config.model.lstm_units='(64,32)'

The defaults are those of Model 1; where another config differs, its value stands below. A run that
is resumed may change the settings that are marked with *, `epochs` only where the learning rate is
constant: a schedule ends with the last epoch. `python -m mmgenre.settings_help
docs/settings.md` writes this page.
"""


def as_text(values: Mapping[str, Value]) -> str:
    """Returns all settings with their meanings, in 80 columns.

    Args:
      values: by the names of the settings, what to show as their values.
    """
    lines = []
    for name, setting in settings(Config).items():
        lines.append(f"  --config.{name}={written(values[name])}")
        text = f"{setting.doc} It must be {setting.rule}."
        lines += textwrap.wrap(
            text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"


def as_page() -> str:
    """Returns the text of docs/settings.md."""
    configs = {name: flatten(Config.from_config_dict(load(name))) for name in ("model0", "model2")}
    parts = [_PAGE]
    for group, title in _GROUPS.items():
        parts.append(f"\n## {title}\n\n| setting | default | meaning |\n|---|---|---|\n")
        for name, setting in settings(Config).items():
            if name.rpartition(".")[0] == group:
                parts.append(_row(setting, {key: each[name] for key, each in configs.items()}))
    return "".join(parts)


def _row(setting: Setting, others: Mapping[str, Value]) -> str:
    default = f"`{written(setting.default)}`" if written(setting.default) else "(empty)"
    differing = [
        f"{name}: `{written(value)}`"
        for name, value in others.items()
        if value != setting.default and setting.name != "name"
    ]
    shown = "<br>".join([default, *differing])
    mark = "*" if setting.may_change else ""
    rule = setting.rule[0].upper() + setting.rule[1:]
    return f"| `{setting.name}`{mark} | {shown} | {setting.doc} {rule}. |\n"


def written(value: Value) -> str:
    """Returns a value as a command line takes it, but for the quotes that a shell wants."""
    if isinstance(value, tuple):
        return str(value).replace(" ", "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def add_to(parser: ArgumentParser) -> None:
    """Adds all settings to a parser that completes them; it need not understand them."""
    for name, setting in settings(Config).items():
        choices = ("True", "False") if setting.type is bool else setting.choices or None
        parser.add_argument(
            f"--config.{name}", choices=choices, help=setting.doc.replace("%", "%%")
        )


if __name__ == "__main__":
    import sys

    Path(sys.argv[1]).write_text(as_page(), encoding="utf-8")
