"""Features as columns, for formats that must know every property and its type before the first feature is written."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import Any

import numpy as np
import orjson
import shapely

from playground.formats.features import BEFORE_GEOMETRY, BEFORE_PROPERTIES, Feature, Features

BATCH = 16_384
"""Features in memory at once."""
IN_MEMORY = 16 * 2**20
"""Bytes of features that wait in memory; more wait in a temporary file."""
KINDS = ("bool", "int", "float", "text", "texts")
"""What a column holds: ``texts`` are lists of text; ``text`` is also JSON, where values are of several kinds."""
MOST = 2**63 - 1
LENGTHS = struct.Struct("=QQ")
"""Of a feature's WKB and of its properties, which follow."""
NULL = b"null"
RING, END = b'{"type":"Polygon","coordinates":[[[', b"]]]}"
"""Around the positions of a polygon of one ring."""
TYPED = BEFORE_GEOMETRY + b'{"type":"'

Shapes = np.ndarray[Any, np.dtype[Any]]
Batch = tuple[Shapes, dict[str, list[Any]]]
"""The geometries (shapely's, None for null) of some features, and their properties by column."""


class Spool:
    """Takes features a few at a time and gives them back in batches, once the columns of all are known.

    A feature's ``id`` is a column of its own; a property that is called ``id`` or ``geometry`` gets an underscore.

    Args:
        lists: whether the format has lists of text; else they become JSON.
    """

    def __init__(self, lists: bool = True) -> None:
        self._lists = lists
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._kinds: dict[str, str] = {}
        self.geometry_types: set[str] = set()
        """Those met so far; empty for null."""

    def add(self, features: Iterable[Feature]) -> None:
        """Take features as GeoJSON has them, in lon/lat; their coordinates may be numpy arrays."""
        told = _with_geometry(features)
        while some := list(islice(told, BATCH)):
            _, texts, kinds = zip(*some, strict=True)
            self.geometry_types.update(kinds)
            shapes = shapely.to_wkb(_shapes(texts), flavor="iso").tolist()
            for (feature, _, _), wkb in zip(some, shapes, strict=True):
                row = _row(feature)
                for name, value in row.items():
                    if value is not None:
                        self._kinds[name] = _wider(self._kinds.get(name), _kind(value))
                    else:
                        self._kinds.setdefault(name, "")
                place, text = wkb or b"", orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
                self._file.write(LENGTHS.pack(len(place), len(text)) + place + text)

    def columns(self) -> dict[str, str]:
        """Name -> kind, in the order in which the names were first seen; of nothing but null: text."""
        spelt = {"": "text", **({} if self._lists else {"texts": "text"})}
        return {name: spelt.get(kind, kind) for name, kind in self._kinds.items()}

    def bounds(self) -> list[float] | None:
        """(west, south, east, north) of all; None where there is no geometry."""
        every = [shapely.total_bounds(geometries) for geometries, _ in self.batches()]
        known = np.array([each for each in every if not np.isnan(each).any()]).reshape(-1, 4)
        return [*known[:, :2].min(0).tolist(), *known[:, 2:].max(0).tolist()] if len(known) else None

    def batches(self) -> Iterator[Batch]:
        """All features in order, BATCH at a time."""
        columns = self.columns()
        self._file.seek(0)
        records = self._records()
        while some := list(islice(records, BATCH)):
            places, told = zip(*some, strict=True)
            rows = [orjson.loads(row) for row in told]
            yield (
                shapely.from_wkb(np.array(places, object)),
                {name: [_value(row.get(name), kind) for row in rows] for name, kind in columns.items()},
            )

    def _records(self) -> Iterator[tuple[bytes | None, bytes]]:
        """The WKB of each, None for no geometry, and its properties as JSON."""
        while lengths := self._file.read(LENGTHS.size):
            place, row = LENGTHS.unpack(lengths)
            yield self._file.read(place) or None, self._file.read(row)

    def close(self) -> None:
        """Forget them."""
        self._file.close()


def _with_geometry(features: Iterable[Feature]) -> Iterator[tuple[Feature, bytes, str]]:
    """Features, the geometry of each as GeoJSON, and its type, empty for null. Texts are read but for the geometry."""
    if isinstance(features, Features):
        for text in features.texts:
            start, end = len(BEFORE_GEOMETRY), text.find(BEFORE_PROPERTIES)
            if not text.startswith(TYPED) or end < 0:  # another order of members, or no geometry
                yield from _with_geometry([orjson.loads(text)])
                continue
            kind = text[len(TYPED) : text.index(b'"', len(TYPED))]
            yield orjson.loads(b"{%b" % text[end + 1 :]), text[start:end], kind.decode()
        return
    for feature in features:
        geometry = feature.get("geometry")
        text = orjson.dumps(geometry or None, option=orjson.OPT_SERIALIZE_NUMPY)
        yield feature, text, geometry["type"] if geometry else ""


def _shapes(texts: Sequence[bytes]) -> Shapes:
    """Geometries of their GeoJSON, None for null. Polygons of one ring, which nearly all are, are read as one list of
    numbers, in a third of the time that GEOS takes."""
    sizes = [text.count(b"],[") + 1 for text in texts]
    plain = np.array(
        [
            text.startswith(RING) and b"]],[[" not in text and text.count(b",") == 2 * size
            for text, size in zip(texts, sizes, strict=True)
        ],
        dtype=bool,
    )
    shapes = np.full(len(texts), None, object)
    if plain.any():
        rings = b",".join([text[len(RING) : -len(END)] for text in compress(texts, plain.tolist())])
        coords = np.array(orjson.loads(b"[%b]" % rings.replace(b"],[", b",")), np.float64).reshape(-1, 2)
        ends = np.cumsum([0, *compress(sizes, plain.tolist())])
        offsets = (ends, np.arange(len(ends)))
        shapes[plain] = shapely.from_ragged_array(shapely.GeometryType.POLYGON, coords, offsets)
    rest = [place for place in np.flatnonzero(~plain).tolist() if texts[place] != NULL]
    shapes[rest] = shapely.from_geojson(np.array([texts[place] for place in rest], object))
    return shapes


def _row(feature: Feature) -> dict[str, Any]:
    row = {} if feature.get("id") is None else {"id": feature["id"]}
    for name, value in (feature.get("properties") or {}).items():
        row[f"{name}_" if name in ("id", "geometry") else name] = value
    return row


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int) and abs(value) <= MOST:
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "texts"
    return "text"


def _wider(one: str | None, other: str) -> str:
    """The kind that holds both."""
    if not one or one == other:
        return other
    return "float" if {one, other} == {"int", "float"} else "text"


def _value(value: Any, kind: str) -> Any:
    if value is None or (kind != "text" and kind in KINDS):
        return value
    return value if isinstance(value, str) else orjson.dumps(value).decode()
