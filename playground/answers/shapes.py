"""Tables of one family (polygons, lines or points, perhaps multi) as arrays of shapely geometries, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely import GeometryType

from playground.answers.table import LINES, POINTS, POLYGONS, IntArray, Layer, Table
from playground.geo import FloatArray

Shapes = npt.NDArray[np.object_]

MULTI: dict[GeometryType, tuple[Callable[..., Any], shapely.Geometry]] = {
    GeometryType.POLYGON: (shapely.multipolygons, shapely.MultiPolygon()),
    GeometryType.LINESTRING: (shapely.multilinestrings, shapely.MultiLineString()),
    GeometryType.POINT: (shapely.multipoints, shapely.MultiPoint()),
}
"""Kind of geometry to what makes its multi kind of members, and such a one without any."""


def polygons_of_table(table: Table, coords: FloatArray) -> Shapes:
    """The polygon or multipolygon of each geometry, with these coordinates."""
    offsets = [_offsets(counts) for counts in (table.positions, table.paths, table.parts)]
    if (table.parts == 1).all():
        return shapely.from_ragged_array(GeometryType.POLYGON, coords, tuple(offsets[:2]))
    return shapely.from_ragged_array(GeometryType.MULTIPOLYGON, coords, tuple(offsets))


def shapes_of_table(table: Table) -> Shapes:
    """The geometries of a table of one family."""
    if table.kinds[0] in POLYGONS:
        return polygons_of_table(table, table.coords)
    if table.kinds[0] in LINES:
        offsets = (_offsets(table.positions), _offsets(table.paths))
        return shapely.from_ragged_array(GeometryType.MULTILINESTRING, table.coords, offsets)
    return shapely.from_ragged_array(GeometryType.MULTIPOINT, table.coords, (_offsets(table.paths),))


def exact_shapes(table: Table) -> Shapes:
    """The geometries of a table of one family, multi geometries only where the table says so."""
    shapes = np.empty(len(table), dtype=object)
    single = np.array([not kind.startswith("Multi") for kind in table.kinds], dtype=bool)
    if not single.all():
        many = table.take(~single)
        offsets = [_offsets(counts) for counts in (many.positions, many.paths, many.parts)]
        if many.kinds[0] in POLYGONS:
            shapes[~single] = shapely.from_ragged_array(GeometryType.MULTIPOLYGON, many.coords, tuple(offsets))
        else:
            shapes[~single] = shapes_of_table(many)
    if single.any():
        table = table.take(single)
        offsets = [_offsets(counts) for counts in (table.positions, table.paths)]
        if table.kinds[0] == "Polygon":
            shapes[single] = shapely.from_ragged_array(GeometryType.POLYGON, table.coords, tuple(offsets))
        elif table.kinds[0] == "LineString":
            shapes[single] = shapely.from_ragged_array(GeometryType.LINESTRING, table.coords, tuple(offsets[:1]))
        else:
            shapes[single] = shapely.points(table.coords)
    return shapes


def layers_of_shapes(shapes: Shapes) -> list[Layer]:
    """The layers that polygons and lines make, perhaps multi; empty ones are in none."""
    kinds = shapely.get_type_id(shapes)
    there = ~shapely.is_empty(shapes)
    layers = []
    for single, multi in (POLYGONS, LINES):
        ids = [GeometryType[single.upper()], GeometryType[multi.upper()]]
        places = np.flatnonzero(there & np.isin(kinds, ids))
        if len(places):
            names = [single if kind == ids[0] else multi for kind in kinds[places].tolist()]
            layers.append(Layer(table_of_shapes(names, places, shapes[places]), places))
    return layers


def table_of_shapes(kinds: list[str], owners: IntArray, shapes: Shapes) -> Table:
    """The table of geometries of one family, none of them empty.

    Args:
        kinds: their types so far; what was multi stays so, what has several parts becomes it.
        owners: the feature that each belongs to.
        shapes: the geometries.
    """
    single, multi = next(family for family in (POLYGONS, LINES, POINTS) if kinds[0] in family)
    members, indices = shapely.get_parts(shapes, return_index=True)
    sizes = np.bincount(indices, minlength=len(shapes))
    # Not to_ragged_array: it calls np.unique, which imports all of numpy.ma, longer than a batch of tiles takes.
    ones = np.ones(len(shapes), np.int64)
    if single == "Polygon":
        paths, owner = shapely.get_rings(members, return_index=True)
        parts, rings = sizes, np.bincount(owner, minlength=len(members))
    else:
        paths, parts, rings = members, ones, sizes
    positions = shapely.get_num_coordinates(paths).astype(np.int64)
    names = [
        single if size == 1 and kind == single else multi for kind, size in zip(kinds, sizes.tolist(), strict=True)
    ]
    return Table(names, owners, parts, rings, positions, shapely.get_coordinates(paths))


def valid_polygons(shapes: Shapes) -> Shapes:
    """Multipolygons: what overlaps is one, what a hole covers is away, what has no area is gone."""
    return polygons_of(shapely.make_valid(shapes, method="structure", keep_collapsed=False))


def polygons_of(shapes: Shapes) -> Shapes:
    """The polygons of each geometry as one multipolygon, perhaps empty; lines and points in it are left out."""
    return members_of(shapes, GeometryType.POLYGON)


def members_of(shapes: Shapes, kind: GeometryType) -> Shapes:
    """The polygons, lines or points of each geometry as one multi geometry, perhaps empty; all else is left out."""
    make, nothing = MULTI[kind]
    parts, owners = shapely.get_parts(shapes, return_index=True)
    parts, again = shapely.get_parts(parts, return_index=True)  # a collection may hold multi geometries
    owners = owners[again]
    wanted = (shapely.get_type_id(parts) == kind) & ~shapely.is_empty(parts)
    found = np.full(len(shapes), nothing, dtype=object)
    if wanted.any():
        make(parts[wanted], indices=owners[wanted], out=found)
    return found


def _offsets(counts: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(counts)))
