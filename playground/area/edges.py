"""Where shapes meet a tile's edges: which stretches of them they cover."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import shapely

from playground.area.parts import EAST, NORTH, SOUTH, WEST, Runs
from playground.area.rings import Rings
from playground.area.world import UNITS, Shapes
from playground.geo import FloatArray

EDGES = (WEST, EAST, NORTH, SOUTH)


class Edges:
    """The straight edges of polygons and lines, to be met by lines along a tile's edges."""

    def __init__(self, rings: Rings, shapes: Shapes) -> None:
        """Of polygons without holes, and of whatever else comes after these."""
        count = len(rings)
        self._count = count + len(shapes)
        paths = owners = np.repeat(np.arange(count), rings.positions)
        coords = rings.coords
        # A line is met in points: they get a width to be met by.
        self._areal = np.ones(self._count, dtype=bool)
        if len(shapes):
            more, there, whose = _paths(shapes)
            coords = np.concatenate((coords, more))
            paths, owners = np.concatenate((paths, there + count)), np.concatenate((owners, whose + count))
            self._areal[count:] = shapely.get_dimensions(shapes) == 2
        same = np.flatnonzero(paths[1:] == paths[:-1])
        self._owners = owners[same]
        # By axis, where each begins and ends.
        self._from = [coords[same, axis] for axis in range(2)]
        self._to = [coords[same + 1, axis] for axis in range(2)]

    def runs(self, *beside: float) -> list[list[tuple[Runs, Runs, Runs, Runs]]]:
        """Where each shape covers lines along the four edges: (from, to) in units from the edge's beginning, in order.

        Args:
            beside: units from each edge to its line, outwards.

        Returns:
            For each of these distances, the runs of each shape.
        """
        keys, along = self._met(beside)
        order = np.lexsort((along, keys))
        keys, along = keys[order], along[order]
        areal = self._areal[keys % self._count]
        half = UNITS / 512
        lows = np.concatenate([along[areal][::2], along[~areal] - half])
        highs = np.concatenate([along[areal][1::2], along[~areal] + half])
        whose = np.concatenate([keys[areal][::2], keys[~areal]])
        # In the core's own stretch only: what lies beside the corners belongs to the next edge.
        kept = (highs > 0) & (lows < UNITS) & (highs > lows)
        lows, highs = np.maximum(lows, 0.0), np.minimum(highs, float(UNITS))
        nothing: Runs = []
        lines = len(EDGES) * len(beside)
        runs = [nothing] * (lines * self._count)
        for key, low, high in zip(whose[kept].tolist(), lows[kept].tolist(), highs[kept].tolist(), strict=True):
            found = runs[key]
            if found is nothing:
                runs[key] = [(low, high)]
            elif low <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], high))
            else:
                found.append((low, high))
        by_line = [runs[line * self._count : (line + 1) * self._count] for line in range(lines)]
        return [list(zip(*by_line[line : line + len(EDGES)], strict=True)) for line in range(0, lines, len(EDGES))]

    def _met(self, beside: Sequence[float]) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """(line times shapes plus shape, units along the edge) of places where shapes meet the lines."""
        keys, along = [], []
        for line, (distance, edge) in enumerate(product(beside, EDGES)):
            at = UNITS + distance if edge in (EAST, SOUTH) else -distance
            axis = 1 if edge in (WEST, EAST) else 0
            starts, ends = self._from[1 - axis], self._to[1 - axis]
            # An edge's one end counts, not the other: so a corner on the line is met once, or twice where both turn
            # back.
            met = np.flatnonzero((starts <= at) != (ends <= at))
            share = (at - starts[met]) / (ends[met] - starts[met])
            begin = self._from[axis][met]
            along.append(begin + share * (self._to[axis][met] - begin))
            keys.append(self._owners[met] + line * self._count)
        return np.concatenate(keys), np.concatenate(along)


def _paths(shapes: Shapes) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The positions of polygons and lines, the ring or line that each is of, and the shape."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    areal = shapely.get_dimensions(parts) == 2
    rings, of = shapely.get_rings(parts[areal], return_index=True)
    coords, paths = shapely.get_coordinates(np.concatenate([rings, parts[~areal]]), return_index=True)
    return coords, paths, np.concatenate([owners[areal][of], owners[~areal]])[paths]
