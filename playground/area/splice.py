"""Parts become one object, many at once: above all two outlines on the two sides of a line.

Most objects over several tiles are two polygons that share one stretch of a tile edge and nothing else. There is
nothing to search: the union's outline is the one's up to that stretch, then the other's. GEOS takes fifty times as
long for it, and comes to the same outline, vertex by vertex and from the same first vertex on; what is not so simple
is left to it.
"""

from __future__ import annotations

import numpy as np
import shapely

from playground.answers.shapes import polygons_of_table
from playground.answers.table import Table
from playground.area.outlines import BoolArray, Forms, IntArray, outlines_of, rearranged
from playground.area.parts import same_dimension as polygons_of
from playground.area.world import Shapes
from playground.geo import FloatArray


def united(parts: Forms, sizes: IntArray) -> Forms:
    """The unions of parts that belong together: one behind the other, each of so many, two at least."""
    teams = np.repeat(np.arange(len(sizes)), sizes)
    outlines = np.bincount(teams[parts.places], minlength=len(sizes))
    twos = (sizes == 2) & (outlines == 2)
    made, taken, certain = spliced(parts.outlines.take(twos[teams[parts.places]]))
    places = np.flatnonzero(twos)[taken]
    left = np.ones(len(sizes), dtype=bool)
    left[places] = False
    others = np.full(len(sizes), None, dtype=object)
    others[left] = _overlaid(parts.shapes(left[teams]), sizes[left])
    if not certain.all():
        rest = made.take(~certain)
        others[places[~certain]] = shapely.simplify(polygons_of_table(rest, rest.coords), 0.0, preserve_topology=True)
        made, places = made.take(certain), places[certain]
    return Forms(made, places, others)


def _overlaid(shapes: Shapes, sizes: IntArray) -> Shapes:
    """The unions of shapes as GEOS makes them, those of as many parts in one call."""
    starts = np.cumsum(sizes) - sizes
    found = np.full(len(sizes), None, dtype=object)
    linear = np.zeros(len(sizes), dtype=bool)
    for size in sorted(set(sizes.tolist())):
        these = np.flatnonzero(sizes == size)
        teams = shapes[starts[these, None] + np.arange(size)]
        found[these] = shapely.union_all(teams, axis=1)
        linear[these] = (shapely.get_dimensions(teams) == 1).all(axis=1)
    found[linear] = shapely.line_merge(found[linear])
    wholes = found[~linear]
    # Where edges were cut, vertices are left on straight lines.
    plain = np.asarray(shapely.simplify(wholes, 0.0, preserve_topology=True), dtype=object)
    broken = ~shapely.is_valid(plain)
    plain[broken] = wholes[broken]
    found[~linear] = polygons_of(plain, np.ones(len(plain), dtype=bool))
    return found


def spliced(pairs: Table) -> tuple[Table, BoolArray, BoolArray]:
    """The unions of pairs of polygons without the vertices that lie on straight lines.

    Args:
        pairs: outlines of valid polygons, one pair behind the other; on whole numbers, and as GEOS' overlays give them:
            clockwise.

    Returns:
        The unions of some pairs, and which pairs these are; others are left to GEOS. And of each union whether it is
        without all vertices on straight lines already: about where it begins GEOS does otherwise.
    """
    bounds = pairs.bounds().reshape(-1, 2, 4)
    axis, line, ahead = _lines(bounds)
    chosen = np.flatnonzero(axis >= 0)
    taken = np.zeros(len(bounds), dtype=bool)
    if not len(chosen):
        return pairs.take(np.zeros(len(pairs), dtype=bool)), taken, taken[chosen]
    # A union begins with the first of its polygons from north to south, and from west to east.
    middles = (bounds[..., :2] + bounds[..., 2:])[chosen]
    swap = (middles[:, 0, 1] > middles[:, 1, 1]) | (
        (middles[:, 0, 1] == middles[:, 1, 1]) & (middles[:, 0, 0] > middles[:, 1, 0])
    )
    order = 2 * chosen[:, None] + np.where(swap[:, None], (1, 0), (0, 1))
    rings = _Rings(pairs, order.ravel(), axis[chosen], line[chosen], np.where(swap, -1.0, 1.0) * ahead[chosen])
    good = rings.meet()
    taken[chosen[good]] = True
    made, certain = rings.joined(np.flatnonzero(good))
    return made, taken, certain


def _lines(bounds: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Of pairs of bounds: the axis (0 for x, -1 for none) across which they lie side by side, the line between them,
    and which way along it a clockwise outline of the first one goes (1 or -1)."""
    axis = np.full(len(bounds), -1)
    line, ahead = np.zeros(len(bounds)), np.ones(len(bounds))
    first, second = bounds[:, 0], bounds[:, 1]
    for number in (1, 0):
        for low, high, way in ((first, second, 1.0), (second, first, -1.0)):
            beside = low[:, number + 2] == high[:, number]
            axis[beside] = number
            line[beside] = high[beside, number]
            # In a plane whose y grows upwards: the eastern side goes down, the upper one to the east.
            ahead[beside] = way if number == 1 else -way
    return axis, line, ahead


class _Rings:
    """The outlines of pairs, the last vertex of each left out, and the stretch of each on the line of its pair."""

    def __init__(self, rings: Table, order: IntArray, axis: IntArray, line: FloatArray, ahead: FloatArray) -> None:
        self._sizes = rings.positions[order] - 1
        self._coords = rearranged(rings.coords, rings.starts[order], self._sizes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._axis, self._line, self._ahead = axis, line, ahead
        self._pair = np.repeat(np.arange(len(axis)), self._sizes.reshape(-1, 2).sum(axis=1))
        places = np.arange(len(self._coords))
        along = self._axis[self._pair] == 0
        self._on = np.where(along, self._coords[:, 0], self._coords[:, 1]) == self._line[self._pair]
        # Along the line, so that the first outline goes upwards.
        self._at = np.where(along, self._coords[:, 1], self._coords[:, 0]) * self._ahead[self._pair]
        self._next = places + 1
        self._next[self._starts + self._sizes - 1] = self._starts

    def meet(self) -> BoolArray:
        """Pairs of which each touches the line in one stretch and some of it is both's; clockwise, no vertex twice."""
        on, then = self._on, self._on[self._next]
        begins = np.flatnonzero(~on & then)
        rings = np.repeat(np.arange(len(self._sizes)), self._sizes)
        once = np.bincount(rings[begins], minlength=len(self._sizes)) == 1
        self._first = np.zeros(len(self._sizes), np.int64)
        self._first[rings[begins]] = self._next[begins]
        self._count = np.bincount(rings[on], minlength=len(self._sizes))
        steps = (self._at[self._next] - self._at) * np.where(rings % 2, -1.0, 1.0)
        x, y = self._coords.T
        again = (x[self._next] == x) & (y[self._next] == y)
        wrong = np.bincount(rings[(on & then & (steps <= 0)) | again], minlength=len(self._sizes)) > 0
        ends = self._starts + (self._first - self._starts + self._count - 1) % self._sizes
        begin, end = self._at[self._first].reshape(-1, 2), self._at[ends].reshape(-1, 2)
        self._low, self._high = np.maximum(begin[:, 0], end[:, 1]), np.minimum(end[:, 0], begin[:, 1])
        self._rings = rings
        fine: BoolArray = (once & ~wrong).reshape(-1, 2).all(axis=1) & (self._high > self._low)
        return fine

    def joined(self, pairs: IntArray) -> tuple[Table, BoolArray]:
        """The unions of pairs that meet; and whether they are without vertices on straight lines already."""
        low, high = self._low[self._pair], self._high[self._pair]
        upwards = self._rings % 2 == 0
        gone = self._on & (self._at >= low) & (self._at <= high)
        passed = self._on & np.where(upwards, self._at <= high, self._at >= low)
        left = self._sizes - np.bincount(self._rings[gone], minlength=len(self._sizes))
        behind = np.bincount(self._rings[passed], minlength=len(self._sizes))
        offsets = (self._first - self._starts + behind) % self._sizes
        one, two = 2 * pairs, 2 * pairs + 1
        # Each: where the common stretch ends, what is left of the first, where it begins, what is left of the second.
        sizes = left[one] + left[two] + 2
        starts = np.cumsum(sizes) - sizes
        coords = np.empty((int(sizes.sum()), 2))
        coords[starts] = self._points(pairs, self._high)
        coords[starts + 1 + left[one]] = self._points(pairs, self._low)
        for ring, place in ((one, starts + 1), (two, starts + 2 + left[one])):
            steps = np.arange(int(left[ring].sum())) - np.repeat(np.cumsum(left[ring]) - left[ring], left[ring])
            whose = np.repeat(ring, left[ring])
            source = self._starts[whose] + (offsets[whose] + steps) % self._sizes[whose]
            coords[np.repeat(place, left[ring]) + steps] = self._coords.take(source, axis=0)
        # An overlay leaves out the first vertex of the first edge that it keeps, until it comes back to it.
        head = self._starts[one]
        begin = np.where(gone[head], 1, 2 + (head - self._starts[one] - offsets[one]) % self._sizes[one])
        return _outlines(coords, sizes, starts, begin)

    def _points(self, pairs: IntArray, at: FloatArray) -> FloatArray:
        along = at[pairs] * self._ahead[pairs]
        line, upright = self._line[pairs], self._axis[pairs] == 0
        return np.column_stack((np.where(upright, line, along), np.where(upright, along, line)))


def _outlines(coords: FloatArray, sizes: IntArray, starts: IntArray, begin: IntArray) -> tuple[Table, BoolArray]:
    """Polygons of rings that begin with one of their vertices, those on straight lines left out.

    Returns:
        The polygons, and whether that is all that simplifying them does.
    """
    rings = np.repeat(np.arange(len(sizes)), sizes)
    steps = np.arange(len(coords)) - starts[rings]
    coords = coords.take(starts[rings] + (steps + begin[rings]) % sizes[rings], axis=0)
    ends = starts + sizes - 1
    after = np.arange(len(coords)) + 1
    after[ends] = starts
    edges = coords.take(after, axis=0) - coords
    before = np.arange(len(coords)) - 1
    before[starts] = ends
    straight = edges[before, 0] * edges[:, 1] == edges[before, 1] * edges[:, 0]
    certain = ~(straight[starts] | straight[starts + 1] | straight[ends])
    kept = ~(straight & certain[rings])
    counts = np.bincount(rings[kept], minlength=len(sizes))
    ends = np.cumsum(counts + 1)  # the first vertex once more at the end of each
    closed = np.empty((len(sizes) and int(ends[-1]), 2))
    closed[np.arange(len(closed) - len(counts)) + rings[kept]] = np.compress(kept, coords, axis=0)
    closed[ends - 1] = coords[starts]
    return outlines_of(closed, counts + 1), certain
