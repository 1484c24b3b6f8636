"""What a predictor says about an object: category and confidence in every spelling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from playground.answers.audit import Audit
from playground.answers.values import plain_text, plain_value


def read_properties(given: Any, owner: int, audit: Audit) -> dict[str, Any]:
    """The properties of one feature of the answer.

    Args:
        given: the predictor's properties; None for none.
        owner: the feature's place in the predictor's list.

    Returns:
        All that was given, and ``category`` (None if there is none), ``categories``, ``confidence`` (0 to 1) and
        ``score``, the same number.
    """
    found: set[str] = set()
    properties: dict[str, Any] = {}
    if isinstance(given, dict):
        for key, value in given.items():
            kind = type(value)
            if (kind is str and value.isascii()) or (kind is float and -math.inf < value < math.inf):
                plain = value  # nearly all: no call
            else:
                plain = plain_value(value, found)
            properties[key if type(key) is str and key.isascii() else plain_text(key, found)] = plain
    elif given is not None:
        found.add("properties_unreadable")
        given = None
    categories = _categories(properties, found)
    properties["category"] = categories[0] if categories else None
    properties["categories"] = categories
    properties["confidence"] = properties["score"] = _confidence(given or {}, found)
    for repair in found:
        audit.repair(repair, (owner,))
    return properties


def _categories(properties: dict[str, Any], found: set[str]) -> list[str]:
    """The category as given, or the first of a list, and the others behind it."""
    category = properties.get("category")
    if type(category) is str and category and "categories" not in properties and "tags" not in properties:
        return [category]
    first = _names(category, found)
    others = _names(properties.get("categories"), found) or _names(properties.get("tags"), found)
    if len(first) > 1 or not others:
        names = first
    else:
        names = others if not first else [*first, *(name for name in others if name != first[0])]
    if not names:
        found.add("category_missing")
    return names


def _names(value: Any, found: set[str]) -> list[str]:
    names = []
    for name in value if isinstance(value, list) else [value]:
        if isinstance(name, str):
            names.append(name)
        elif name is not None:
            found.add("category_to_text")
            names.append(str(name))
    return [name for name in names if name]


def _confidence(given: dict[Any, Any], found: set[str]) -> float:
    """0 to 1; 1 if nothing is said; 0 for what is no number, so that it never wins over a real one."""
    value, score = given.get("confidence"), given.get("score")
    if value is None:
        value = score
    elif score is not None and score is not value and not _same(score, value):
        found.add("score_replaced")
    if type(value) is float and 0.0 <= value <= 1.0:
        return value
    if value is None:
        return 1.0
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple) and value:
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        found.add("confidence_unreadable")
        return 0.0
    if isinstance(value, str):
        found.add("confidence_parsed")
    if not math.isfinite(number):
        found.add("confidence_not_finite")
        return 0.0
    if not 0.0 <= number <= 1.0:
        found.add("confidence_clipped")
    return min(max(number, 0.0), 1.0)


def _same(score: Any, value: Any) -> bool:
    return isinstance(score, float) and isinstance(value, float) and score == value
