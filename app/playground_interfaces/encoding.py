"""Features in JSON, fast: what ``telling.encode`` writes, with the partner's own orjson where it has that."""

import json
import marshal
from itertools import chain

from .packing import packed_features, packed_result
from .prediction_result import PredictionResult, properties_of
from .telling import encode, features_of, plain

SAMPLE = ['"', 1.5, True, None, "\u00e9", 2**63, {"a": [1e-7]}, (1,)]
WRITTEN = '["\\"",1.5,true,null,"\u00e9",9223372036854775808,{"a":[1e-7]},[1]]'.encode("utf-8")

PLACE = "\x00coordinates\x00"
QUOTED = json.dumps(PLACE)
POSITIONS, PAIRS, NUMBERS = {list, tuple}, {2}, {int, float}

quick = json.JSONEncoder(default=plain, check_circular=False, separators=(",", ":")).encode
"""To look for circles takes a quarter of the time; without, they end in a RecursionError."""


def written(result, encode_features):
    """What the partner returned for a tile, as a head and its features: packed, if they can be, else in JSON.

    Args:
        result: whatever it is.
        encode_features: from ``encoder``.
    """
    if type(result) is PredictionResult and "format" not in vars(result):
        found = packed_result(result, encode_features) or collection_text(result)
        if found is not None:
            return {"op": "result", "kind": "prediction_result"}, found
    kind, features = features_of(result)
    head = {"op": "result", "kind": kind}
    if kind == "other":
        head["type"] = type(result).__name__
    if not features:
        return head, b"[]"
    return head, packed_features(features, encode_features) or encode_features(features)


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


def collection_text(result):
    """The features of a PredictionResult in JSON, as its ``format`` has them; None where that must say.

    Most of what its ``format`` takes is rounding, number by number; here a ring is written at once. For a float, the
    text that ``%.2f`` writes is the number that ``round`` gives: both come from the same correctly rounded decimals.
    """
    features, texts = [], []
    try:
        for each in result.list_results:
            geometry = {"type": each.geometry["type"], "coordinates": PLACE}
            features.append({"type": "Feature", "geometry": geometry, "properties": properties_of(each)})
            texts.append(rings_text(each.geometry["coordinates"]))
        frames = quick(features).split(QUOTED)
        if len(frames) != len(texts) + 1:
            return None
    except Exception:  # format() says what is wrong, if it is
        return None
    return "".join(chain.from_iterable(zip(frames, texts + [""]))).encode("utf-8")


def rings_text(rings):
    """Rings of positions, rounded to 2 decimals, in JSON.

    Raises:
        ValueError: they are of another form, or of another type of number.
    """
    texts = []
    for given in rings:
        ring = given.tolist() if hasattr(given, "tolist") else given
        flat = list(chain.from_iterable(ring))
        if not (set(map(type, ring)) <= POSITIONS and set(map(len, ring)) == PAIRS and set(map(type, flat)) <= NUMBERS):
            raise ValueError(ring)
        texts.append(("[%.2f,%.2f]," * len(ring) % tuple(flat))[:-1])
    text = "[[" + "],[".join(texts) + "]]"
    if "n" in text:  # nan or inf
        raise ValueError(text)
    return text
