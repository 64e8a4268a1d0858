"""Settings as fields of dataclasses: what each means, which values it takes, and how they are read.

A group of settings is a dataclass whose fields come from `setting`; a field that is itself such a
dataclass is a group within it, and its settings have names with dots.
"""

import dataclasses
import difflib
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from ml_collections import ConfigDict

from mmgenre.errors import UserError

Value: TypeAlias = bool | int | float | str | tuple[int, ...]

_T = TypeVar("_T")
_LARGEST: Final = 1e300  # A whole number beyond it may have no float.
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Which numbers a setting takes; of a list of numbers, each.

    Attributes:
      text: completes "it must be ...".
      holds: whether a number is within them.
      items: the fewest and the most entries of a list.
    """

    text: str
    holds: Callable[[float], bool]
    items: tuple[int, int] = (0, 0)

    def hold(self, value: Value) -> bool:
        """Whether a value, or each entry of a list, is within them."""
        if not isinstance(value, tuple):
            return not isinstance(value, str) and self.holds(value)
        return self.items[0] <= len(value) <= self.items[1] and all(map(self.holds, value))


_SHOWN: Final = 200  # Characters of a value in an error.


def between(low: int, high: int) -> Bounds:
    """Whole numbers from `low` to `high`; the upper end is there for configs of strangers."""
    return Bounds(f"{low:,} to {high:,}", lambda x: low <= x <= high)


def lists(entry: Bounds, fewest: int, most: int) -> Bounds:
    """Lists of `fewest` to `most` numbers that are each within bounds."""
    return Bounds(f"{fewest} to {most} of them, each {entry.text}", entry.holds, (fewest, most))


NOT_NEGATIVE: Final = Bounds("0 or more, and finite", lambda x: 0 <= x < math.inf)
RATE: Final = Bounds("at least 0 and below 1", lambda x: 0 <= x < 1)
SHARE: Final = Bounds("above 0 and at most 1", lambda x: 0 < x <= 1)


def setting(default: _T, doc: str, bounds: Bounds | None = None, *, may_change: bool = False) -> _T:
    """Declares a field of a group of settings.

    Args:
      default: its value where none is given.
      doc: what it means, for people; printed by --help.
      bounds: which values it takes, besides what its type says.
      may_change: whether a run may go on with another value.
    """
    metadata = {"doc": doc, "bounds": bounds, "may_change": may_change}
    field: Any = dataclasses.field(default=default, metadata=metadata)
    return field


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting, as `setting` declares it.

    Attributes:
      name: with the dots of the groups that it is in.
      type: of its values: bool, int, float, str, `tuple[int, ...]` or a `Literal` of strings.
      default: its value where none is given.
      doc: what it means.
      bounds: which values it takes, besides what its type says.
      may_change: whether a run may go on with another value.
    """

    name: str
    type: Any
    default: Value
    doc: str
    bounds: Bounds | None
    may_change: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The strings that it takes; empty where it takes others, too."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def rule(self) -> str:
        """Which values it takes; completes "it must be ..."."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kinds = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
        kind = kinds.get(self.type, "a list of whole numbers")
        return f"{kind}, {self.bounds.text}" if self.bounds else kind

    def convert(self, value: object) -> Value:
        """Returns a value as this setting's type; an int is a float, but a bool is no int.

        Raises:
          UserError: it is of another type.
        """
        if isinstance(value, tuple | list):
            if get_origin(self.type) is tuple and all(type(item) is int for item in value):
                return tuple(value)
        elif self.type is float and isinstance(value, int | float):
            if not isinstance(value, bool) and abs(value) < _LARGEST:
                return float(value)
        elif type(value) is (str if self.choices else self.type):
            known: Any = value
            return known
        raise self.wrong(value)

    def check(self, value: Value) -> None:
        """Raises UserError where a value of the right type is none of those that it takes."""
        if self.choices and value not in self.choices:
            raise self.wrong(value)
        if self.bounds and not self.bounds.hold(value):
            raise self.wrong(value)

    @property
    def written(self) -> str:
        """How its values are written on a command line; completes "it is not ..."."""
        kinds = {bool: "true or false", int: "a whole number", float: "a number"}
        return kinds.get(self.type, "whole numbers such as 64x32 or '(64,32)'")

    def parse(self, text: str) -> Value:
        """Reads a value as it is written on a command line, a list as "64x32" or "(64,32)".

        Raises:
          ValueError: it is of another type.
        """
        if self.type is str or self.choices:
            return text
        if self.type is bool:
            if text.lower() not in _BOOLEANS:
                raise ValueError(text)
            return _BOOLEANS[text.lower()]
        number: Value = self.type(text) if self.type in (int, float) else _parse_sizes(text)
        return number

    def wrong(self, value: object) -> UserError:
        """The error to raise for a value that it does not take."""
        return UserError(f"config.{self.name} is {shown(value)}, but it must be {self.rule}")


def require(condition: bool, name: str, value: object, rule: str) -> None:
    """Raises UserError, with the setting's name and value, where a rule does not hold."""
    if not condition:
        raise UserError(f"config.{name} is {shown(value)}, but it must be {rule}")


def settings(cls: type, prefix: str = "") -> dict[str, Setting]:
    """Returns the settings of a group and of the groups within it, by their names with dots."""
    types = get_type_hints(cls)
    found: dict[str, Setting] = {}
    for field in dataclasses.fields(cls):
        name, expected = f"{prefix}{field.name}", types[field.name]
        if dataclasses.is_dataclass(expected):
            found |= settings(types[field.name], f"{name}.")
        else:
            default: Any = field.default
            found[name] = Setting(name, expected, default, **field.metadata)
    return found


def flatten(group: Any) -> dict[str, Value]:
    """Returns the values of a group of settings, by their names with dots."""
    return {
        name: functools.reduce(getattr, name.split("."), group) for name in settings(type(group))
    }


def check(group: Any, prefix: str = "") -> None:
    """Checks each value of a group by itself, not those of the groups within it.

    Raises:
      UserError: a value is none of those that its setting takes.
    """
    for name, declared in settings(type(group), prefix).items():
        leaf = name.removeprefix(prefix)
        if "." not in leaf:
            declared.check(getattr(group, leaf))


def build(cls: type[_T], fields: Mapping[str, Any], prefix: str = "") -> _T:
    """Returns a group of settings from values by name, groups within it too.

    Args:
      cls: the group's dataclass.
      fields: values by name, those of a group within it as a mapping; what is left out keeps its
        default.
      prefix: of the settings' names, for messages: "" or such as "model.".

    Raises:
      UserError: a name that is no setting, or a value of another type.
    """
    known, types, values = settings(cls, prefix), get_type_hints(cls), {}
    for name, value in fields.items():
        if name not in types:
            raise UserError(f"config.{prefix}{name} is no setting; {hint(name, types)}")
        if not dataclasses.is_dataclass(types[name]):
            values[name] = known[f"{prefix}{name}"].convert(value)
        elif isinstance(value, Mapping | ConfigDict):
            values[name] = build(types[name], dict(value), f"{prefix}{name}.")
        else:
            raise UserError(
                f"config.{prefix}{name} is {shown(value)}, but it is a group of settings"
            )
    return cls(**values)


def nest(values: Mapping[str, Value]) -> dict[str, Any]:
    """Returns values by names with dots as mappings within mappings, as `build` takes them."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        functools.reduce(lambda group, part: group.setdefault(part, {}), groups, fields)[leaf] = (
            value
        )
    return fields


def unknown(name: str, known: Mapping[str, Any]) -> str:
    """Says that there is no setting of this name with dots, and which one may be meant."""
    if any(other.startswith(f"{name}.") for other in known):
        return f"{name} is a group of settings"
    return f"the config has no setting {shown(name)}; {hint(name, known)}"


def hint(name: str, known: Mapping[str, Any]) -> str:
    """Asks whether the closest of the known names is meant; where none is close, lists them."""
    leaves = {other.rpartition(".")[2]: other for other in known}
    close = difflib.get_close_matches(name, known, n=1)
    close = close or [leaves[n] for n in difflib.get_close_matches(name, leaves, n=1)]
    return f"do you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def _parse_sizes(text: str) -> tuple[int, ...]:
    if text in ("()", "none"):
        return ()
    if text.startswith("(") and text.endswith(")"):
        return tuple(map(int, text[1:-1].removesuffix(",").split(",")))
    return tuple(map(int, text.split("x")))


def shown(value: object) -> str:
    """Returns how an error shows a value: whole where it is short, else its beginning."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
