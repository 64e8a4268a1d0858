"""Changes to a JSON value that a stranger, or damage, may make: Hypothesis strategies."""

import copy
from typing import Any

from hypothesis import strategies as st

DEEP = "[" * 100_000

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 10**12, 2**31, 2**63, 2**64, 10**400, -(10**30)])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "../../x", "/dev/zero", "\x00", "\ud800", "x" * 10_000, "$\\frac$", "<b>"]
    )
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values within a JSON value, itself included."""
    found = [path]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:5]):
            found += places(inner, (*path, number))
    return found


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with one to three of its parts replaced, taken out, doubled or renamed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(value)))
        if not path:
            value = draw(values)
            continue
        parent = value
        for step in path[:-1]:
            parent = parent[step]
        how = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
        if how == "replace":
            parent[path[-1]] = draw(values)
        elif how == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            name = draw(st.text(max_size=9))
            parent[name] = parent.pop(path[-1]) if how == "rename" else draw(values)
        else:
            parent.insert(path[-1], draw(values))
    return value


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with a few flipped, cut off, doubled or put in."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        how = draw(st.sampled_from(["flip", "flip", "cut", "insert", "zero"]))
        if how == "flip" and changed:
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del changed[place:]
        elif how == "insert":
            changed[place:place] = draw(st.binary(max_size=8))
        else:
            changed[place : place + 4] = bytes(4)
    return bytes(changed)
