"""Rings that are simple and stay so when they are projected and rounded, many at once.

Of a ring whose vertices lie on a grid, no vertex comes nearer to an edge that is not its own than the grid's step
squared over the edge's length: twice a triangle's area is a whole number of squares. Projecting a small part of the map
is nearly affine; as long as it and the rounding together move no vertex by half of that distance away from where an
affine map puts it, the ring meets itself nowhere afterwards, either.
"""

from __future__ import annotations

import numpy as np

from playground.answers.frame import Frame
from playground.answers.table import BoolArray, Table

SAFE = 2.5
"""Times that the distance is more than what vertices move: 2 would do in exact arithmetic."""


def are_steady(table: Table, frame: Frame) -> BoolArray:
    """Whether each of some polygons certainly is valid as the answer writes it; sure only of rings on the frame's grid.

    What is, turns on the map as it does in pixels, where y goes down.

    Args:
        table: polygons that are valid in pixels of the frame; it is sure of none that has holes.
        frame: of a tile.
    """
    tile, step = frame.tile, frame.grid
    if tile is None or step <= 0:
        return np.zeros(len(table), dtype=bool)
    if not (single := table.single).all():
        steady = np.zeros(len(table), dtype=bool)
        if single.any():
            steady[single] = are_steady(table.take(single), frame)
        return steady
    starts = table.starts
    x, y = np.ascontiguousarray(table.coords[:, 0]), np.ascontiguousarray(table.coords[:, 1])
    edges = np.zeros(len(x))
    np.maximum(np.abs(x[1:] - x[:-1]), np.abs(y[1:] - y[:-1]), out=edges[:-1])
    edges[starts + table.positions - 1] = 0.0  # from ring to ring
    longest = np.maximum.reduceat(edges, starts) * np.sqrt(2.0)
    apart = step * np.minimum(1.0, step / np.maximum(longest, step))
    world = frame.tile_size * 2.0**tile.z
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    share = (high - low) / world
    middle = world / 2 + frame.padding - tile.y * frame.tile_size
    # The second derivative of latitude, going down the map as one, is at most 2 pi times the first.
    bent = share * (high - low) * np.pi / 4
    away = np.maximum(np.abs(low - middle), np.abs(high - middle)) / world
    rounded = 0.5 * 10.0**-frame.decimals * world / 360.0 * (1.0 + np.cosh(2 * np.pi * away))
    columns, rows = x / step, y / step
    off_grid = (np.floor(columns) != columns) | (np.floor(rows) != rows)
    on_grid = np.add.reduceat(off_grid.astype(np.int64), starts) == 0
    return np.asarray(on_grid & (apart > SAFE * (bent + rounded) * np.exp(2 * np.pi * share)))
