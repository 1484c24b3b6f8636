"""The map has no end in the east or the west: what lies beyond its edge lies at the other one."""

from __future__ import annotations

import functools

import numpy as np
import shapely

from playground.area.parts import same_dimension
from playground.area.world import Shapes
from playground.geo import FloatArray


def on_the_map(shapes: Shapes, width: float) -> Shapes:
    """Shapes with what lies beyond the antimeridian at the other edge of the map.

    Args:
        shapes: valid, in units of the whole map.
        width: of the map, in these units.
    """
    bounds = shapely.bounds(shapes)
    beyond = np.flatnonzero((bounds[:, 0] < 0) | (bounds[:, 2] > width))
    areal = shapely.get_dimensions(shapes[beyond]) == 2  # points and lines are compared with nothing
    if not areal.any():
        return shapes
    beyond = beyond[areal]
    room = shapely.box(0.0, bounds[:, 1].min(), width, bounds[:, 3].max())
    turns = []
    for turn in (-width, 0.0, width):
        moved = shapely.transform(shapes[beyond], functools.partial(np.add, (turn, 0.0)))
        turns.append(same_dimension(np.asarray(shapely.intersection(moved, room), dtype=object), areal[areal]))
    found = shapes.copy()
    found[beyond] = shapely.union_all(np.stack(turns), axis=0)
    return found


def everywhere(boxes: FloatArray, width: float, beyond: float) -> FloatArray:
    """(n, 4) boxes as they are, and a turn of the globe to the east and to the west.

    Args:
        boxes: left, top, right, bottom; those without an end in the east or west end as far as anything reaches.
        width: of the map.
        beyond: how far things reach over its edges.
    """
    ended = boxes.copy()
    ended[:, 0] = np.maximum(ended[:, 0], -beyond)
    ended[:, 2] = np.minimum(ended[:, 2], width + beyond)
    turn = np.array([width, 0.0, width, 0.0])
    return np.concatenate((ended, ended + turn, ended - turn))
