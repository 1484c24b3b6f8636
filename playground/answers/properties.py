"""What a predictor says about an object: category and confidence in every spelling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from playground.answers.audit import Audit
from playground.answers.values import plain_text, plain_value
from playground.geo import FloatArray

SPECIAL = frozenset(("confidence", "score", "categories", "tags"))
"""Properties that say what category and confidence say."""


@dataclass(frozen=True)
class Described:
    """What is said about each feature.

    Args:
        texts: the properties as JSON.
        confidences: 0 to 1.
    """

    texts: list[bytes]
    confidences: FloatArray


def describe(features: Sequence[Any], class_names: Mapping[str, str], audit: Audit) -> Described:
    """The properties of features of the answer; of what is no feature, none.

    Each has all that was given, and ``category`` (None if there is none), ``categories``, ``confidence`` (0 to 1) and
    ``score``, the same number.
    """
    described = _describe_plainly(features, class_names, audit)
    if described is not None:
        return described
    texts, confidences = [], np.zeros(len(features))
    for owner, feature in enumerate(features):
        given = feature.get("properties") if isinstance(feature, dict) else None
        properties, found = _read(given, class_names)
        texts.append(orjson.dumps(properties))
        confidences[owner] = properties["confidence"]
        for repair in found:
            audit.repair(repair, (owner,))
    return Described(texts, confidences)


def _describe_plainly(features: Sequence[Any], class_names: Mapping[str, str], audit: Audit) -> Described | None:
    """The same, column by column, where all features have the same few properties and none needs repair; else None.

    What several share, one dict, is read once.
    """
    try:
        told = [feature["properties"] for feature in features]
        which = list(map(id, told))
        given = list(dict(zip(which, told, strict=True)).values())
        (keys,) = set(map(tuple, given))
        key = "score" if "score" in keys else "confidence"
        others = [each for each in keys if each not in ("category", key)]
        categories = [properties["category"] for properties in given]
        scores = [properties[key] for properties in given]
        if not SPECIAL.isdisjoint(others) or set(map(type, given)) != {dict} or set(map(type, categories)) != {str}:
            return None
        confidences = np.array(scores)
        if set(map(type, scores)) != {float} or not (confidences.min() >= 0.0 and confidences.max() <= 1.0):
            return None
        names = {category: orjson.dumps(class_names.get(category, category)) for category in set(categories)}
        columns = [_plain_column([properties[each] for properties in given]) for each in others]
        labels = [b',"%b":' % orjson.dumps(each)[1:-1].replace(b"%", b"%%") for each in others if type(each) is str]
    except (TypeError, ValueError, KeyError, IndexError):
        return None
    if "" in names or len(labels) < len(others):
        return None
    if not class_names.keys().isdisjoint(names):
        audit.repair("class_named", (at for at, each in enumerate(told) if each["category"] in class_names))
    heads = {category: b'{"category":%b,"categories":[%b]' % (name, name) for category, name in names.items()}
    numbers = _plain_column(scores)
    template = b'%b,"confidence":%b,"score":%b' + b"".join(label + b"%b" for label in labels) + b"}"
    rows = zip(map(heads.__getitem__, categories), numbers, numbers, *columns, strict=True)
    texts = list(map(template.__mod__, rows))
    if len(given) == len(told):
        return Described(texts, confidences)
    place = {each: at for at, each in enumerate(dict.fromkeys(which))}
    shared = list(map(place.__getitem__, which))
    return Described(list(map(texts.__getitem__, shared)), confidences[shared])


def _plain_column(values: list[Any]) -> list[bytes]:
    """The JSON of values that are all floats, all whole numbers, or all text.

    Raises:
        TypeError, ValueError: they are something else, or need repair.
    """
    (kind,) = set(map(type, values))
    if kind is str:
        texts = {value: orjson.dumps(value) for value in set(values)}
        return list(map(texts.__getitem__, values))
    if kind not in (int, float) or (kind is float and not np.isfinite(values).all()):
        raise TypeError(kind)
    return orjson.dumps(values)[1:-1].split(b",")


def _read(given: Any, class_names: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    """The properties of one feature, and the repairs made."""
    found: set[str] = set()
    properties: dict[str, Any] = {"category": None, "categories": None, "confidence": None, "score": None}
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
    categories = _categories(properties, class_names, found)
    properties["category"] = categories[0] if categories else None
    properties["categories"] = categories
    properties["confidence"] = properties["score"] = _confidence(given or {}, found)
    return properties, found


def _categories(properties: dict[str, Any], class_names: Mapping[str, str], found: set[str]) -> list[str]:
    """The category as given, or the first of a list, and the others behind it; by the names that classes have."""
    category = properties["category"]
    if (
        type(category) is str
        and category
        and not class_names
        and properties["categories"] is None
        and "tags" not in properties
    ):
        return [category]
    first = _names(category, class_names, found)
    others = _names(properties["categories"], class_names, found)
    others = others or _names(properties.get("tags"), class_names, found)
    if len(first) > 1 or not others:
        names = first
    else:
        names = others if not first else [*first, *(name for name in others if name != first[0])]
    if not names:
        found.add("category_missing")
    return names


def _names(value: Any, class_names: Mapping[str, str], found: set[str]) -> list[str]:
    names = []
    for name in value if isinstance(value, list) else [value]:
        if class_names and (called := class_names.get(_class_key(name))) is not None:
            found.add("class_named")
            names.append(called)
        elif isinstance(name, str):
            names.append(name)
        elif name is not None:
            found.add("category_to_text")
            names.append(str(name))
    return [name for name in names if name]


def _class_key(category: Any) -> str:
    """A class as CLASS_NAMES writes it: 3 for 3.0, which is what numpy makes of it now and then."""
    return str(int(category)) if isinstance(category, float) and category.is_integer() else str(category)


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
