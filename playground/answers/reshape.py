"""What a configuration asks of geometries, done in pixels, before they are placed on the map.

In this order: pixel indices become edges, vertices are left out, small polygons go, the padding is cut away or left to
the neighbours. Every step works on all geometries of a family at once.
"""

from __future__ import annotations

import numpy as np
import shapely
from shapely import GeometryType

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.options import Options
from playground.answers.shapes import Shapes, members_of, polygons_of, shapes_of_table, table_of_shapes, valid_polygons
from playground.answers.table import LINES, POLYGONS, BoolArray, IntArray, Table

HALF_PIXEL = 0.5
RING = 4
"""Positions of the shortest ring."""


def reshape(
    table: Table, frame: Frame, options: Options, audit: Audit, teams: IntArray | None = None
) -> tuple[Table, IntArray]:
    """A table of one family as the options ask for it.

    Args:
        teams: by feature, the image that it is of; None for one image.

    Returns:
        The table, and which geometries of the one given are left in it.
    """
    polygonal = table.kinds[0] in POLYGONS
    shapes = _shapes(_with_whole_rings(table), teams) if polygonal else shapes_of_table(table)
    if polygonal:
        shapes = _mended(shapes, table, options, audit)
    if options.pixel_convention == "index":
        shapes = _edges_of_indices(shapes, polygonal)
        audit.repair("index_to_edge", table.owners.tolist())
    if options.simplify and table.kinds[0] not in ("Point", "MultiPoint"):
        before = shapely.get_num_coordinates(shapes)
        shapes = shapely.simplify(shapes, options.simplify, preserve_topology=True)
        audit.repair("simplified", table.owners[shapely.get_num_coordinates(shapes) < before].tolist())
    left = ~shapely.is_empty(shapes)
    audit.lose("degenerate", table.owners[~left].tolist())
    if options.least_area and polygonal:
        small = left & (shapely.area(shapes) < options.least_area)
        audit.lose("below_area", table.owners[small].tolist())
        left &= ~small
    if frame.padding and options.padding_results != "keep":
        shapes, inside = _without_padding(shapes, table, frame, options, audit)
        audit.lose("in_padding", table.owners[left & ~inside].tolist())
        left &= inside
    indices = np.flatnonzero(left)
    if not len(indices):
        return table.take(left), indices
    kinds = [table.kinds[index] for index in indices.tolist()]
    return table_of_shapes(kinds, table.owners[left], shapes[left]), indices


def _shapes(table: Table, teams: IntArray | None) -> Shapes:
    """The polygons of a table; multipolygons if one of the same image is one, which may be written in another order."""
    if teams is None or (table.parts == 1).all():
        return shapes_of_table(table)
    team = teams[table.owners]
    multiple = np.bincount(team, table.parts > 1)[team] > 0
    shapes = np.empty(len(table), dtype=object)
    for some in (multiple, ~multiple):
        if some.any():
            shapes[some] = shapes_of_table(table.take(some))
    return shapes


def _with_whole_rings(table: Table) -> Table:
    """Rings of fewer positions, which pixel indices may have, filled up with their last one."""
    more = np.maximum(RING - table.positions, 0)
    if not more.any():
        return table
    times = np.ones(len(table.coords), np.int64)
    times[np.cumsum(table.positions) - 1] += more
    coords = np.repeat(table.coords, times, axis=0)
    return Table(table.kinds, table.owners, table.parts, table.paths, table.positions + more, coords)


def _mended(shapes: Shapes, table: Table, options: Options, audit: Audit) -> Shapes:
    """The same, valid; for pixel indices, the lines and points that polygons without area are."""
    broken = ~shapely.is_valid(shapes)
    if not broken.any():
        return shapes
    valid = valid_polygons(shapes[broken])
    flat = shapely.is_empty(valid)
    if options.pixel_convention == "index" and flat.any():
        given = shapes[broken][flat]
        valid[flat] = shapely.line_merge(shapely.union_all(shapely.boundary(given)[:, None], axis=1))
        dots = np.flatnonzero(flat)[shapely.is_empty(valid[flat])]
        valid[dots] = shapely.points(shapely.bounds(shapes[broken][dots])[:, :2])
    audit.repair("made_valid", table.owners[broken][~flat].tolist())
    shapes[broken] = valid
    return shapes


def _edges_of_indices(shapes: Shapes, polygonal: bool) -> Shapes:
    """Geometries on pixel edges of those that name pixels by their indices.

    A point or a vertex of a line means the middle of its pixel: half a pixel further to the right and down. A
    polygon's ring runs along the outermost pixels that belong to it: it is moved as well and then grows by half a
    pixel on every side, its holes shrink by as much. So 0 to 255 covers a tile of 256 pixels from edge to edge,
    neighbours that are labelled to their last pixel touch, and a single pixel, or a line of them, has its area.
    """
    shapes = shapely.transform(shapes, lambda coords: coords + HALF_PIXEL)
    if polygonal:
        grown = shapely.buffer(shapes, HALF_PIXEL, cap_style="square", join_style="mitre", mitre_limit=2.0)
        shapes = polygons_of(np.asarray(grown))
    return shapes


def _without_padding(
    shapes: Shapes, table: Table, frame: Frame, options: Options, audit: Audit
) -> tuple[Shapes, BoolArray]:
    """(shapes, which of them stay) by what PADDING_RESULTS says of the padding."""
    low, high = float(frame.padding), float(frame.padding + frame.tile_size)
    if options.padding_results == "own":
        x, y = shapely.get_coordinates(representative_points(shapes)).T
        found = np.zeros(len(shapes), dtype=bool)
        found[~shapely.is_empty(shapes)] = (x >= low) & (x < high) & (y >= low) & (y < high)
        return shapes, found
    core = shapely.box(low, low, high, high)
    cut = ~shapely.covered_by(shapes, core)
    if cut.any():
        kind = GeometryType.POLYGON
        if table.kinds[0] not in POLYGONS:
            kind = GeometryType.LINESTRING if table.kinds[0] in LINES else GeometryType.POINT
        shapes[cut] = members_of(np.asarray(shapely.intersection(shapes[cut], core)), kind)
    inside: BoolArray = ~shapely.is_empty(shapes)
    audit.repair("clipped", table.owners[cut & inside].tolist())
    return shapes, inside


def representative_points(shapes: Shapes) -> Shapes:
    """A point on each geometry, by which one tile owns it; empty where the geometry is."""
    return np.asarray(shapely.point_on_surface(shapes))
