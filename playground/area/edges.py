"""Where shapes meet a tile's edges: which stretches of them they cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from playground.area.parts import EAST, SOUTH, WEST, Runs
from playground.area.world import UNITS, Shapes
from playground.geo import FloatArray


class Edges:
    """The straight edges of polygons and lines, to be met by lines along a tile's edges."""

    def __init__(self, shapes: Shapes) -> None:
        self._count = len(shapes)
        coords, paths, self._owners = _paths(shapes)
        same = paths[1:] == paths[:-1]
        self._owners = self._owners[1:][same]
        self._from, self._to = coords[:-1][same], coords[1:][same]
        # A line is met in points: they get a width to be met by.
        self._areal = shapely.get_dimensions(shapes) == 2

    def runs(self, edge: int, beside: float) -> list[Runs]:
        """Where shapes cover a line along an edge: (from, to) in units from the edge's beginning, in order."""
        across = beside if edge in (EAST, SOUTH) else -beside
        at = (UNITS if edge in (EAST, SOUTH) else 0.0) + across
        axis = 1 if edge in (WEST, EAST) else 0
        starts, ends = self._from[:, 1 - axis], self._to[:, 1 - axis]
        # An edge's one end counts, not the other: so a corner on the line is met once, or twice where both turn back.
        met = np.flatnonzero((starts <= at) != (ends <= at))
        share = (at - starts[met]) / (ends[met] - starts[met])
        along = self._from[met, axis] + share * (self._to[met, axis] - self._from[met, axis])
        owners = self._owners[met]
        order = np.lexsort((along, owners))
        owners, along = owners[order], along[order]
        areal = self._areal[owners]
        half = UNITS / 512
        lows = np.concatenate([along[areal][::2], along[~areal] - half])
        highs = np.concatenate([along[areal][1::2], along[~areal] + half])
        whose = np.concatenate([owners[areal][::2], owners[~areal]])
        # In the core's own stretch only: what lies beside the corners belongs to the next edge.
        kept = (highs > 0) & (lows < UNITS) & (highs > lows)
        lows, highs = np.maximum(lows, 0.0), np.minimum(highs, float(UNITS))
        runs: list[Runs] = [[] for _ in range(self._count)]
        for index, low, high in zip(whose[kept].tolist(), lows[kept].tolist(), highs[kept].tolist(), strict=True):
            if runs[index] and low <= runs[index][-1][1]:
                runs[index][-1] = (runs[index][-1][0], max(runs[index][-1][1], high))
            else:
                runs[index].append((low, high))
        return runs


def _paths(shapes: Shapes) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The positions of polygons and lines, the ring or line that each is of, and the shape."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    areal = shapely.get_dimensions(parts) == 2
    rings, of = shapely.get_rings(parts[areal], return_index=True)
    coords, paths = shapely.get_coordinates(np.concatenate([rings, parts[~areal]]), return_index=True)
    return coords, paths, np.concatenate([owners[areal][of], owners[~areal]])[paths]
