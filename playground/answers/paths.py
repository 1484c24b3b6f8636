"""Paths before they become geometries: those that mean nothing go, rings are closed, the globe is gone round once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby, pairwise

import numpy as np

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.table import LINES, POLYGONS, BoolArray, IntArray, Table
from playground.geo import FloatArray

REASONS = ("", "empty", "not_finite", "outside", "degenerate")
"""Why a path goes, by its code: no positions, NaN or infinity, far from the image, too few positions."""


def clean_paths(table: Table, frame: Frame, audit: Audit, least_ring: int) -> Table:
    """The table without paths that mean nothing, its rings closed.

    A polygon goes with its exterior; otherwise what is left of a geometry stays.

    Args:
        least_ring: positions that a closed ring needs.
    """
    if (table.paths == 0).any() or (table.parts == 0).any():
        audit.lose("empty", table.owners[table.parts == 0].tolist())
        audit.lose("empty", table.owners[table.part_geometry[table.paths == 0]].tolist())
        table = table.take_paths(np.ones(len(table.positions), dtype=bool))
    codes, is_open = _look(table, frame, least_ring)
    exterior = codes[table.first_paths][table.path_part]
    codes = np.where(_are(table, POLYGONS) & (exterior > 0), exterior, codes)
    if codes.any():
        for code, owner in zip(codes[codes > 0].tolist(), table.owners[table.path_geometry[codes > 0]], strict=True):
            audit.lose(REASONS[code], (int(owner),))
        table, is_open = table.take_paths(codes == 0), is_open[codes == 0]
    if is_open.any():
        audit.repair("ring_closed", table.owners[table.path_geometry[is_open]].tolist())
        starts, ends = table.starts, np.cumsum(table.positions)
        table.coords = np.insert(table.coords, ends[is_open], table.coords[starts[is_open]], axis=0)
        table.positions = table.positions + is_open
    return table


def _are(table: Table, kinds: tuple[str, ...]) -> BoolArray:
    """Whether each path belongs to a geometry of these types."""
    return table.are(kinds)[table.path_geometry]


def _look(table: Table, frame: Frame, least_ring: int) -> tuple[IntArray, BoolArray]:
    """(code in REASONS, whether it is a ring to be closed) of each path."""
    filled = table.positions > 0
    counts, starts = table.positions[filled], table.starts[filled]
    codes = np.where(filled, 0, 1)
    is_open = np.zeros(len(codes), dtype=bool)
    if not len(counts):
        return codes, is_open
    polygonal = _are(table, POLYGONS)[filled]
    different = np.zeros(len(counts), dtype=bool)
    for numbers in table.coords.T:
        different |= numbers[starts] != numbers[starts + counts - 1]
    is_open[filled] = polygonal & different
    least = np.where(polygonal, least_ring, np.where(_are(table, LINES)[filled], 2, 1))
    found = np.where(counts + is_open[filled] < least, 4, 0)
    low, high = frame.reach
    if not (table.coords.min() >= low and table.coords.max() <= high):  # so also for NaN
        x, y = table.coords[:, 0], table.coords[:, 1]
        lows, highs = np.minimum.reduceat(np.minimum(x, y), starts), np.maximum.reduceat(np.maximum(x, y), starts)
        found[(lows < low) | (highs > high)] = 3
        found[~(np.isfinite(lows) & np.isfinite(highs))] = 2
    codes[filled] = found
    return codes, is_open


def shift_into_world(table: Table, frame: Frame, audit: Audit) -> BoolArray:
    """Bring geometries beyond the antimeridian back by whole turns of the globe, in place.

    Returns:
        Which geometries lie on both sides of it, so that they must be cut.
    """
    x = table.coords[:, 0]
    crossing = np.zeros(len(table), dtype=bool)
    if frame.world is None or not len(table):
        return crossing
    origin, size = frame.world
    if x.min() >= origin and x.max() <= origin + size:
        return crossing
    low, high = table.columns()
    outside = (low < origin) | (high > origin + size)
    turns = np.where(outside, np.floor((low - origin) / size), 0.0)
    crossing = outside & (high > origin + (turns + 1) * size)
    turns[crossing] = 0.0
    x -= np.repeat(turns[table.path_geometry], table.positions) * size
    audit.repair("antimeridian", table.owners[outside].tolist())
    return crossing


def cut_line(path: FloatArray, origin: float, size: float) -> Iterator[list[list[float]]]:
    """The pieces of a line on each side of the antimeridian, each brought back by whole turns.

    Args:
        path: (n, 2) pixels.
        origin, size: pixel column of longitude -180, and pixels once around the globe.
    """
    points = path[:1].tolist()
    for (x0, y0), (x1, y1) in pairwise(path.tolist()):
        first, last = sorted(((x0 - origin) / size, (x1 - origin) / size))
        edges = [origin + turn * size for turn in range(math.floor(first) + 1, math.ceil(last))]
        for edge in edges if x0 < x1 else reversed(edges):
            points.append([edge, y0 + (y1 - y0) * (edge - x0) / (x1 - x0)])
        points.append([x1, y1])
    for turn, run in groupby(
        pairwise(points), lambda pair: math.floor(((pair[0][0] + pair[1][0]) / 2 - origin) / size)
    ):
        pairs = list(run)
        yield [[x - turn * size, y] for x, y in (pairs[0][0], *(end for _, end in pairs))]
