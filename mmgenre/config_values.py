"""Turning the values of a config into dataclasses: unknown names, wrong types, broken rules."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_origin, get_type_hints

from ml_collections import ConfigDict

from mmgenre.errors import UserError


def require(condition: bool, name: str, value: object, rule: str) -> None:
    """Raises UserError, with the setting's name and value, where a rule does not hold."""
    if not condition:
        raise UserError(f"config.{name} is {value!r}, but it must be {rule}")


def build(cls: type, fields: Mapping[str, Any], prefix: str) -> Any:
    """Returns a dataclass from the values of its fields, groups of settings within it too.

    Args:
      cls: the dataclass.
      fields: values by name; what is left out keeps its default.
      prefix: of the settings' names, for messages: "" or such as "model.".

    Raises:
      UserError: a name that is no setting, or a value of another type.
    """
    types = get_type_hints(cls)
    if unknown := sorted(set(fields) - set(types)):
        raise UserError(f"config.{prefix}{unknown[0]} is no setting; known: {', '.join(types)}")
    values = {}
    for name, value in fields.items():
        if dataclasses.is_dataclass(types[name]):
            if not isinstance(value, (Mapping, ConfigDict)):
                raise UserError(
                    f"config.{prefix}{name} is {value!r}, but it is a group of settings"
                )
            values[name] = build(types[name], dict(value), f"{prefix}{name}.")
        else:
            values[name] = _convert(types[name], value, f"{prefix}{name}")
    return cls(**values)


def _convert(expected: Any, value: Any, name: str) -> Any:
    """Returns `value` as the type that is `expected`; a bool is no int, an int is a float."""
    if get_origin(expected) is tuple:
        (item_type, _) = expected.__args__
        if isinstance(value, (tuple, list)):
            return tuple(_convert(item_type, item, name) for item in value)
    elif expected is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        require(abs(value) < 1e300, name, value, "a number")
        return float(value)
    elif isinstance(value, expected) and isinstance(value, bool) == (expected is bool):
        return value
    typename = "a list of whole numbers" if get_origin(expected) is tuple else expected.__name__
    raise UserError(f"config.{name} is {value!r}, but it must be {typename}")
