"""Polygons of an answer: valid as they are written, wound as RFC 7946 asks, mended where they are not."""

from __future__ import annotations

import math

import numpy as np
import shapely

from playground.answers.audit import Audit
from playground.answers.crossings import are_simple
from playground.answers.frame import Frame
from playground.answers.paths import shift_into_world
from playground.answers.shapes import Shapes, polygons_of, polygons_of_table, table_of_shapes, valid_polygons
from playground.answers.steady import are_steady
from playground.answers.table import BoolArray, IntArray, Layer, Table
from playground.geo import FloatArray

TINY = 1e-6
"""Square pixels: a hundredth of what the finest rounding can tell from nothing."""
EPSILON = float(np.finfo(np.float64).eps)
ROUNDS = 3
"""Times that a polygon is put on the grid of its decimals before it is given up."""


def place_polygons(table: Table, frame: Frame, audit: Audit, teams: IntArray | None = None) -> list[Layer]:
    """The layers that a table of closed polygons makes, without those of which nothing is left.

    Args:
        teams: by feature, the image that it is of: polygons of one are mended together, as they always were, so that
            what becomes of them hangs on nobody else. None for one image.
    """
    crossing = shift_into_world(table, frame, audit)
    coords = frame.round(frame.place(table.coords))
    # Validity counts where the client reads it: after projecting and rounding.
    steady = are_steady(table, frame)
    same = frame.tile is None and np.array_equal(coords, table.coords)
    left_turning, sure = _turns(table, table.coords if same else coords, steady=bool(steady.all()))
    valid = _are_valid(table.at(coords), steady)
    sound = valid & ~crossing & sure
    is_exterior = np.zeros(len(left_turning), dtype=bool)
    is_exterior[table.first_paths] = True
    wrong = left_turning != is_exterior
    if wrong.any():
        coords = _turned(table, coords, wrong)
    layer = Layer(table.at(coords), np.arange(len(table)))
    if sound.all():
        return [layer]
    layers = [Layer(layer.table.take(sound), layer.places[sound])] if sound.any() else []
    for rows in _teams(table, np.flatnonzero(~sound), frame, teams):
        chosen, broken = _chosen(table, rows), ~valid[rows] if same else None
        layers += [Layer(mended, rows[left]) for mended, left in _mend_all(chosen, frame, audit, broken)]
    return layers


def _teams(table: Table, broken: IntArray, frame: Frame, teams: IntArray | None) -> list[IntArray]:
    """The broken geometries, those together that are mended together."""
    # In pixels, and each of one part, they are mended one by one anyway.
    if teams is None or (frame.tile is None and (table.parts[broken] == 1).all()):
        return [broken]
    team = teams[table.owners[broken]]
    return [broken[team == number] for number in sorted(set(team.tolist()))]


def _chosen(table: Table, rows: IntArray) -> Table:
    mask = np.zeros(len(table), dtype=bool)
    mask[rows] = True
    return table.take(mask)


def _turned(table: Table, coords: FloatArray, wrong: BoolArray) -> FloatArray:
    """The coordinates with some rings the other way round."""
    length = table.positions[0]
    if (table.positions == length).all():
        rings = coords.reshape(-1, length, 2)
        return np.where(wrong[:, None, None], rings[:, ::-1], rings).reshape(-1, 2)
    flat = np.arange(len(coords))
    mirrored = np.repeat(2 * table.starts + table.positions - 1, table.positions) - flat
    return coords.take(np.where(np.repeat(wrong, table.positions), mirrored, flat), axis=0)


def _are_valid(table: Table, steady: BoolArray) -> BoolArray:
    """Whether each geometry is valid: GEOS is asked for those that are not certainly so.

    Args:
        steady: those that are.
    """
    valid = steady.copy()
    for look, asked in ((_simple, table.single), (_valid, np.ones(len(table), dtype=bool))):
        doubtful = asked & ~valid
        if doubtful.all():
            valid = look(table)
        elif doubtful.any():
            valid[doubtful] = look(table.take(doubtful))
    return valid


def _simple(table: Table) -> BoolArray:
    return are_simple(table.coords, table.starts, table.positions)


def _valid(table: Table) -> BoolArray:
    return np.asarray(shapely.is_valid(polygons_of_table(table, table.coords)))


def _turns(table: Table, coords: FloatArray, steady: bool) -> tuple[BoolArray, BoolArray]:
    """Whether each ring turns left; and of each geometry whether that is sure, and its rings enclose some pixels.

    Args:
        steady: they all turn on the map as they do in pixels, where y goes down.
    """
    if steady:
        pixels, unsure = _areas(table, table.coords)
        left_turning = pixels < 0
    else:
        area, unsure = _areas(table, coords)
        pixels = area if coords is table.coords else _areas(table, table.coords)[0]
        left_turning = area > 0
    unsure |= np.abs(pixels) <= TINY
    if not unsure.any():
        return left_turning, np.ones(len(table), dtype=bool)
    sure: BoolArray = np.bincount(table.path_geometry[unsure], minlength=len(table)) == 0
    return left_turning, sure


def _areas(table: Table, coords: FloatArray) -> tuple[FloatArray, BoolArray]:
    """(signed area, whether it may be but a rounding error) of each closed ring."""
    starts, positions = table.starts, table.positions
    x, y = np.ascontiguousarray(coords[:, 0]), np.ascontiguousarray(coords[:, 1])
    x -= np.repeat(x[starts], positions)
    y -= np.repeat(y[starts], positions)
    right, left = np.zeros(len(x)), np.zeros(len(x))
    # Nothing is added from ring to ring, as each one's last position is its first: zero here.
    np.multiply(x[:-1], y[1:], out=right[:-1])
    np.multiply(x[1:], y[:-1], out=left[:-1])
    area = np.add.reduceat(right - left, starts) / 2
    # None of the products is more than this; nearly all rings are far larger.
    most = max(x.max(), -x.min()) * max(y.max(), -y.min())
    unsure = np.abs(area) <= 2.0 * most * positions * positions * EPSILON
    if unsure.any():
        unsure = np.abs(area) <= np.add.reduceat(np.abs(right) + np.abs(left), starts) * positions * EPSILON
    return area, unsure


def _mend_all(table: Table, frame: Frame, audit: Audit, broken: BoolArray | None) -> list[Layer]:
    """The layers that mended polygons make."""
    try:
        return _mend(table, frame, audit, broken)
    except shapely.errors.GEOSException:
        if len(table) == 1:
            audit.lose("unmendable", table.owners.tolist())
            return []
    return [
        Layer(mended, left + row)
        for row in range(len(table))
        for mended, left in _mend_all(_chosen(table, np.array([row])), frame, audit, None)
    ]


def _mend(table: Table, frame: Frame, audit: Audit, broken: BoolArray | None) -> list[Layer]:
    """The same of polygons that are not valid as they are written, or lie across the antimeridian.

    Args:
        broken: which are not valid in pixels; None if that is not known.
    """
    shapes = polygons_of_table(table, table.coords)
    if broken is None:
        broken = ~shapely.is_valid(shapes)
    if broken.any():
        audit.repair("made_valid", table.owners[broken].tolist())
        shapes[broken] = valid_polygons(shapes[broken])
    # Collinear pixels enclose nothing, but may do so by a hair once projected.
    if (flat := shapely.area(shapes) <= TINY).any():
        shapes[flat] = shapely.MultiPolygon()
    shapes, across = _cut_at_antimeridian(shapes, frame)
    shapes, lost = _on_grid(shapes if frame.tile is None else shapely.transform(shapes, frame.place), frame)
    left = ~shapely.is_empty(shapes) & ~lost
    audit.lose("unmendable", table.owners[lost].tolist())
    audit.lose("degenerate", table.owners[~left & ~lost].tolist())
    audit.repair("fitted_to_grid", table.owners[left & ~broken & ~across].tolist())
    if not left.any():
        return []
    indices = np.flatnonzero(left)
    kinds = [table.kinds[index] for index in indices.tolist()]
    turned = shapely.orient_polygons(shapes[left], exterior_cw=False)
    return [Layer(table_of_shapes(kinds, table.owners[left], turned), indices)]


def _cut_at_antimeridian(shapes: Shapes, frame: Frame) -> tuple[Shapes, BoolArray]:
    """Multipolygons on one turn of the globe, and which of them were cut.

    They are cut in pixels, where the cut is exact, and the pieces brought back by whole turns. What lies
    twice on the globe, as at zoom 0 with padding, becomes one.
    """
    across = np.zeros(len(shapes), dtype=bool)
    if frame.world is None:
        return shapes, across
    origin, size = frame.world
    west, south, east, north = shapely.bounds(shapes).T  # NaN where empty
    across = (west < origin) | (east > origin + size)
    if not across.any():
        return shapes, across
    whole, turns = shapes[across], []
    first, last = (west[across].min() - origin) / size, (east[across].max() - origin) / size
    for turn in range(math.floor(first), math.ceil(last)):
        strip = shapely.box(
            origin + turn * size, south[across].min() - 1, origin + (turn + 1) * size, north[across].max() + 1
        )
        turns.append(_moved(polygons_of(np.asarray(shapely.intersection(whole, strip))), -turn * size))
    shapes[across] = polygons_of(np.asarray(shapely.union_all(np.stack(turns, axis=1), axis=1)))
    return shapes, across


def _moved(shapes: Shapes, distance: float) -> Shapes:
    return shapely.transform(shapes, lambda coords: coords + np.array([distance, 0.0]))


def _on_grid(shapes: Shapes, frame: Frame) -> tuple[Shapes, BoolArray]:
    """Multipolygons with their coordinates rounded, and which of them are not valid even so."""
    rounded = shapely.transform(shapes, frame.round)
    broken: BoolArray = ~shapely.is_valid(rounded)
    if not broken.any():
        return rounded, broken
    bent = ~shapely.is_valid(shapes)  # by projecting, whose edges are straight in degrees
    if bent.any():
        shapes[bent] = valid_polygons(shapes[bent])
        rounded[bent] = shapely.transform(shapes[bent], frame.round)
        broken = ~shapely.is_valid(rounded)
    for _ in range(ROUNDS):
        if not broken.any():
            break
        # Rounding has pushed a vertex through an edge; the grid of GEOS moves both.
        fitted = polygons_of(shapely.set_precision(shapes[broken], 10.0**-frame.decimals))
        rounded[broken] = shapely.transform(fitted, frame.round)
        shapes[broken] = valid_polygons(rounded[broken])  # where another attempt begins
        broken = ~shapely.is_valid(rounded)
    return rounded, broken
