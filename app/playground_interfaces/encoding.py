"""Features in JSON, fast: what ``telling.encode`` writes, with the partner's own orjson where it has that."""

import json
import marshal

from .telling import encode, plain

SAMPLE = ['"', 1.5, True, None, "\u00e9", 2**63, {"a": [1e-7]}, (1,)]
WRITTEN = '["\\"",1.5,true,null,"\u00e9",9223372036854775808,{"a":[1e-7]},[1]]'.encode("utf-8")

quick = json.JSONEncoder(default=plain, check_circular=False, separators=(",", ":")).encode
"""To look for circles takes a quarter of the time; without, they end in a RecursionError."""


def encoder():
    """A function: a list of features to JSON in UTF-8, which reads as what ``telling.encode`` writes.

    Raises:
        Exception: whatever ``telling.encode`` raises.
    """
    try:
        import orjson

        if orjson.dumps(SAMPLE, numbers) != WRITTEN:
            return slowly
    except Exception:  # the partner's, or none
        return slowly

    def encode_features(features):
        for form in (same, undressed):
            try:
                # marshal writes only what is exactly of Python's own types. orjson would have a way of its own with
                # others: members of an Enum, dates, dataclasses.
                formed = form(features)
                marshal.dumps(formed, 2)
                encoded = orjson.dumps(formed, numbers)
            except Exception:  # noqa: S112 - the next way says what is wrong, if it is
                continue
            # It may stand for NaN, which the server's audit counts.
            return encoded if b"null" not in encoded else slowly(features)
        return slowly(features)

    return encode_features


def slowly(features):
    try:
        text = quick(features)
    except RecursionError:
        text = encode(features)
    return text.encode("utf-8")


def numbers(value):
    """numpy's arrays and numbers, for orjson; of anything else the standard library knows what to make."""
    kind = value.dtype
    if type(value).__module__ != "numpy" or kind.kind not in "biuf" or kind.itemsize > 8:
        raise TypeError(type(value).__name__)
    return value.tolist()


def same(features):
    return features


def undressed(features):
    """The features as plain dicts where they are dicts of a class, as the geojson package's are."""
    return [bare(feature) for feature in features]


def bare(feature):
    if not isinstance(feature, dict):
        return feature
    feature = plainly(feature)
    geometry = feature.get("geometry")
    if isinstance(geometry, dict) and type(geometry) is not dict:
        feature = dict(feature, geometry=plainly(geometry))
    return feature


def plainly(value):
    kind = type(value)
    if kind is dict:
        return value
    if kind.items is not dict.items or kind.__iter__ is not dict.__iter__ or kind.keys is not dict.keys:
        raise TypeError(kind.__name__)
    return dict(value)
