"""Geometries as JSON, written without a dict for any of them: orjson writes all positions at once, the rest is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import orjson

from playground.answers.table import IntArray, Layer, Table

# A path arrives as the text between its first and its last bracket: ``1.0,2.0],[3.0,4.0``.
ONE: dict[str, bytes] = {
    "Polygon": b'{"type":"Polygon","coordinates":[[[%b]]]}',
    "MultiPolygon": b'{"type":"MultiPolygon","coordinates":[[[[%b]]]]}',
    "LineString": b'{"type":"LineString","coordinates":[[%b]]}',
    "MultiLineString": b'{"type":"MultiLineString","coordinates":[[[%b]]]}',
    "Point": b'{"type":"Point","coordinates":[%b]}',
    "MultiPoint": b'{"type":"MultiPoint","coordinates":[[%b]]}',
}
"""Geometry type to what surrounds its only path."""
BETWEEN_PATHS = {"MultiPoint": b"],["}
"""What stands between two paths of a part, if not that of lines and rings."""
BETWEEN_LINES = b"]],[["
BETWEEN_PARTS = b"]]],[[["


def geometry_texts(table: Table) -> list[bytes]:
    """The GeoJSON geometries of a table of placed coordinates."""
    paths = _path_texts(table)
    if len(paths) == len(table):
        if len(set(table.kinds)) == 1:
            return list(map(_around(table.kinds[0]), paths))
        return [ONE[kind] % path for kind, path in zip(table.kinds, paths, strict=True)]
    kinds = [table.kinds[geometry] for geometry in table.part_geometry.tolist()]
    parts = [
        BETWEEN_PATHS.get(kind, BETWEEN_LINES).join(inside)
        for kind, inside in zip(kinds, _cut(paths, table.paths), strict=True)
    ]
    return [
        ONE[kind] % BETWEEN_PARTS.join(inside)
        for kind, inside in zip(table.kinds, _cut(parts, table.parts), strict=True)
    ]


def layer_texts(layers: Sequence[Layer], count: int) -> list[bytes | None]:
    """The GeoJSON geometries of layers, by their places among ``count``; None where there is none."""
    if len(layers) == 1 and len(layers[0].places) == count:
        return list(geometry_texts(layers[0].table))
    geometries: list[bytes | None] = [None] * count
    for table, places in layers:
        for place, text in zip(places.tolist(), geometry_texts(table), strict=True):
            geometries[place] = text
    return geometries


def _around(kind: str) -> Callable[[bytes], bytes]:
    return ONE[kind].__mod__


def _path_texts(table: Table) -> list[bytes]:
    if not len(table.positions):
        return []
    length = int(table.positions[0])
    if (table.positions == length).all():
        paths = table.coords.reshape(-1, length, 2)
        text = orjson.dumps(paths, option=orjson.OPT_SERIALIZE_NUMPY)
    else:
        ends = np.cumsum(table.positions).tolist()
        views = [table.coords[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        text = orjson.dumps(views, option=orjson.OPT_SERIALIZE_NUMPY)
    return text[3:-3].split(BETWEEN_LINES)


def _cut(values: Sequence[bytes], counts: IntArray) -> list[Sequence[bytes]]:
    """Consecutive pieces of a list, of so many members each."""
    ends = list(accumulate(counts.tolist()))
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]
