"""Property values that every JSON reader takes."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

DEPTH = 32
"""Levels of nested values that are kept."""
INTEGERS = (-(2**63), 2**64 - 1)
"""(least, greatest) whole number that JSON writers agree on."""


def plain_value(value: Any, found: set[str], depth: int = 0) -> Any:
    """A value of JSON for anything; ``found`` takes the repairs made on the way."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else plain_text(value, found)
    if kind is float:
        if math.isfinite(value):
            return value
        found.add("value_not_finite")
        return None
    if value is None or kind is bool or (kind is int and INTEGERS[0] <= value <= INTEGERS[1]):
        return value
    return _unusual(value, found, depth)


def _unusual(value: Any, found: set[str], depth: int) -> Any:
    plain: Any = None
    if depth >= DEPTH:
        found.add("value_too_deep")
    elif isinstance(value, dict):
        plain = {plain_text(key, found): plain_value(inside, found, depth + 1) for key, inside in value.items()}
    elif isinstance(value, list | tuple):
        plain = [plain_value(inside, found, depth + 1) for inside in value]
    elif isinstance(value, np.ndarray | np.generic) and type(made := value.tolist()) is not type(value):
        plain = plain_value(made, found, depth + 1)
    elif isinstance(value, float) or (isinstance(value, int) and type(value) is not int):
        plain = plain_value(float(value) if isinstance(value, float) else int(value), found, depth + 1)
    else:
        if not isinstance(value, str):
            found.add("value_to_text")
        plain = plain_text(value, found)
    return plain


def plain_text(value: Any, found: set[str]) -> str:
    """Text that UTF-8 can hold, of anything."""
    if not isinstance(value, str):
        try:
            value = str(value)
        except ValueError:  # an int of more digits than Python writes
            value = hex(value)
    value = str.__str__(value)  # an enumeration's own text, not its name
    try:
        value.encode()
    except UnicodeEncodeError:
        found.add("text_not_unicode")
        value = value.encode("utf-8", "replace").decode()
    return cast(str, value)
