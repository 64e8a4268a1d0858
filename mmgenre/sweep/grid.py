"""The points of a sweep: what `--grid model.lstm_dropout=0.3,0.5 seed=0,1` stands for.

Every value is read as the type that its setting has, and every point is checked as a whole, before
anything is trained. Imports nothing heavy.
"""

import collections
import dataclasses
import hashlib
import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from mmgenre.config import Config
from mmgenre.config_values import Setting, Value, flatten, nest, settings, unknown
from mmgenre.errors import UserError

Axes: TypeAlias = Mapping[str, tuple[Value, ...]]
"""The values of each setting that varies, by its name with dots."""

SEED: Final = "seed"

_NO_AXIS: Final = {
    "name": "it changes no result",
    "selection_metric": "the points would be ranked by different metrics",
    "data.dir": "the points would be validated on different movies",
}
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_MOST_POINTS: Final = 100_000
_LONGEST_NAME: Final = 150


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
      name: of its folder, the same in whatever order the settings are given.
      settings: what sets it apart from the other points.
      config: the whole config.
    """

    name: str
    settings: Mapping[str, Value]
    config: Config

    @property
    def flags(self) -> list[str]:
        """The settings as flags of `mmgenre.main`."""
        return [f"--config.{name}={_as_flag(value)}" for name, value in self.settings.items()]


def parse_grid(words: Sequence[str]) -> Axes:
    """Reads the words after `--grid`, such as "seed=0,1" and "model.lstm_units=64,64x64".

    Raises:
      UserError: an unknown setting, a value of another type, or something that is there twice.
    """
    known = settings(Config)
    axes: dict[str, tuple[Value, ...]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.removeprefix("config.")
        if not equals:
            raise UserError(f"--grid {word}: an axis is <setting>=<value>,<value>,...")
        if name not in known:
            raise UserError(f"--grid {word}: {unknown(name, known)}")
        if reason := _NO_AXIS.get(name):
            raise UserError(f"--grid {word}: {name} cannot vary within a sweep, since {reason}")
        if name in axes:
            raise UserError(f"--grid {word}: {name} is there twice; list all its values at once")
        values = tuple(_parse(known[name], value, word) for value in _split(text))
        twice = [value for value, count in collections.Counter(values).items() if count > 1]
        if twice:
            raise UserError(f"--grid {word}: the value {_as_flag(twice[0])} is there twice")
        axes[name] = values
    return axes


def points(
    axes: Axes, base: Config, trials: int | None = None, trials_seed: int = 0
) -> list[Point]:
    """Returns every combination of the axes, the last one changing fastest.

    Args:
      axes: of `parse_grid`.
      base: the config that the points change.
      trials: only so many combinations, drawn at random; each with every seed, where that is an
        axis. With a larger number the same ones are drawn, and more.
      trials_seed: of the drawing.

    Raises:
      UserError: a combination is no valid config, two would share a folder, or there are too few
        combinations to draw from, or too many at all.
    """
    total = math.prod(map(len, axes.values()))
    if total > _MOST_POINTS:
        raise UserError(f"the grid has {total:,} points, at most {_MOST_POINTS:,} are possible")
    if trials is None:
        combinations = [
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        ]
    else:
        combinations = _draw(axes, trials, trials_seed)
    result: dict[str, Point] = {}
    for values in combinations:
        name = point_name(values)
        if other := result.get(name):
            raise UserError(
                f"{values} and {dict(other.settings)} would share the folder {name}; "
                "rename one of the files"
            )
        try:
            config = _replace(base, values)
        except UserError as error:
            raise UserError(f"the grid's point {name}: {error}") from error
        result[name] = Point(name, values, config)
    return list(result.values())


def point_name(settings: Mapping[str, Value]) -> str:
    """Returns a folder's name that says what the point is, such as "model.x=1,seed=0"."""
    order = sorted(settings, key=lambda name: (name == SEED, name))
    name = ",".join(f"{setting}={as_text(settings[setting])}" for setting in order)
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[:_LONGEST_NAME]}-{digest}"
    return name


def as_text(value: Value) -> str:
    """Returns a value as it is written in names and tables: (64, 32) as "64x32"."""
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, str):  # Maybe a path.
        return re.sub(r"[^\w.+-]", "_", value.rstrip("/").rpartition("/")[2]) or "none"
    return str(value).lower()


def _split(text: str) -> list[str]:
    """Splits at commas outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        if character == "," and depth == 0:
            parts.append("")
            continue
        depth += (character == "(") - (character == ")")
        parts[-1] += character
    return [part.strip() for part in parts]


def _parse(setting: Setting, text: str, word: str) -> Value:
    try:
        return setting.parse(text)
    except ValueError:
        raise UserError(f"--grid {word}: {text!r} is not {setting.written}") from None


def _as_flag(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).replace(" ", "") if isinstance(value, tuple) else str(value)


def _draw(axes: Axes, trials: int, seed: int) -> list[dict[str, Value]]:
    """Returns all seeds of `trials` combinations of the other settings."""
    others = {name: values for name, values in axes.items() if name != SEED}
    distinct = list(itertools.product(*others.values()))
    if not 0 < trials <= len(distinct):
        seeds = " without seeds" if SEED in axes else ""
        raise UserError(
            f"--trials is {trials}, but it must be 1 to {len(distinct)}: so many combinations the "
            f"grid has{seeds}"
        )
    random.Random(seed).shuffle(distinct)
    drawn = []
    for values in distinct[:trials]:
        settings = dict(zip(others, values, strict=True))
        for number in axes.get(SEED, (0,)):
            drawn.append({name: settings.get(name, number) for name in axes})
    return drawn


def _replace(base: Config, values: Mapping[str, Value]) -> Config:
    return Config.from_config_dict(nest({**flatten(base), **values}))
