"""Polygons as packed numbers, where an answer is nothing but plain ones, so that neither side has to do with text.

``marshal`` writes an answer's positions, and what it writes is sent as it is: if every position is two floats, or two
whole numbers, each takes the same room, and the server reads the numbers between the marks as one array. Anything else
goes as JSON. Nothing is unmarshalled.
"""

import array
import collections
import marshal
from itertools import chain

from .prediction_result import properties_of

MARSHAL_VERSION = 2
"""The last that writes every object in full, however often it is there."""
HEAD = 5
"""Bytes before the first position: the mark of a list, and its length."""
SIZES = {b"i": 4, b"g": 8}
"""The marks of a whole number of 32 bits and of a float, and how many bytes each has."""
SEQUENCES = {list, tuple}

Packed = collections.namedtuple("Packed", ("form", "rings", "positions", "numbers", "properties"))
"""Polygons of one tile.

Attributes:
    form: of the numbers: "i" or "g" as above; in capitals, they are still to be rounded to 2 decimals.
    rings: how many each polygon has.
    positions: how many each ring has.
    numbers: what marshal wrote of all positions, one after the other.
    properties: of each polygon, in JSON; one if they share one.
"""


def packed_features(features, encode):
    """Features as packed polygons; None of features that are anything else.

    Args:
        features: a list.
        encode: writes a list as JSON, see ``encoding.encoder``.
    """
    try:
        geometries = [feature["geometry"] for feature in features]
        kinds = {feature["type"] for feature in features} | {geometry["type"] for geometry in geometries}
        if kinds != {"Feature", "Polygon"} or set(map(len, features)) != {3} or set(map(len, geometries)) != {2}:
            return None
        if not all(map(is_plain, set(map(type, features)) | set(map(type, geometries)))):
            return None
        polygons = [geometry["coordinates"] for geometry in geometries]
        return packed(polygons, [feature["properties"] for feature in features], encode)
    except Exception:  # whoever writes them as JSON says what is wrong, if it is
        return None


def packed_result(result, encode):
    """The same of a PredictionResult, as its ``format`` has them."""
    try:
        geometries = [each.geometry for each in result.list_results]
        if {geometry["type"] for geometry in geometries} != {"Polygon"}:
            return None
        polygons = [list(map(listed, geometry["coordinates"])) for geometry in geometries]
        found = packed(polygons, list(map(properties_of, result.list_results)), encode)
        return None if found is None else found._replace(form=found.form.upper())
    except Exception:  # as above
        return None


def listed(ring):
    return ring.tolist() if hasattr(ring, "tolist") else ring


def packed(polygons, properties, encode):
    rings = list(chain.from_iterable(polygons))
    if not (rings and SEQUENCES.issuperset(map(type, polygons)) and SEQUENCES.issuperset(map(type, rings))):
        return None
    positions = []
    for ring in rings:
        positions += ring
    numbers = marshal.dumps(positions, MARSHAL_VERSION)
    form = is_pairs(numbers, len(positions))
    if form is None:
        return None
    if len(set(map(id, properties))) == 1:
        properties = properties[:1]
    lengths = list(map(len, polygons)), list(map(len, rings))
    return Packed(form, lengths[0], lengths[1], memoryview(numbers)[HEAD:], encode(properties))


def is_pairs(data, count):
    """The mark of the numbers, if marshal wrote nothing but lists, or tuples, of two such numbers; None if not."""
    number = data[2 * HEAD : 2 * HEAD + 1]
    width = SIZES.get(number)
    if width is None:
        return None
    size = HEAD + 2 * (1 + width)
    kind = data[HEAD : HEAD + 1]
    # A list of two of them fills its place, one of more does not fit. So what is at the next mark's place is that mark.
    if (
        kind not in (b"[", b"(")
        or len(data) != HEAD + count * size
        or data[HEAD::size] != kind * count
        or data[HEAD + 1 :: size] != b"\x02" * count
        or data[2 * HEAD :: size] != number * count
        or data[2 * HEAD + 1 + width :: size] != number * count
    ):
        return None
    return number.decode("ascii")


def is_plain(kind):
    """Whether what is asked of objects of a class is answered by dict itself."""
    return kind is dict or (
        issubclass(kind, dict)
        and kind.__getitem__ is dict.__getitem__
        and kind.__len__ is dict.__len__
        and kind.__iter__ is dict.__iter__
        and kind.keys is dict.keys
        and kind.items is dict.items
    )


def counts(values):
    """Whole numbers as bytes, 4 each."""
    return array.array("I", values)
