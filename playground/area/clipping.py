"""What of polygons and lines lies in a tile's core.

GEOS's overlay takes twenty microseconds for each. Most objects cross one edge of the tile, once: what is left of those
are their own vertices and two places on the edge, and arithmetic on all of them together finds it, with the vertices
in the order in which GEOS writes them.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from playground.answers.crossings import are_simple
from playground.area.parts import same_dimension
from playground.area.rings import Rings
from playground.area.world import UNITS, Shapes
from playground.geo import FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

UNSURE = 1e-6
"""Units from the middle between two whole ones, at which another way of computing may round to the other."""


def clipped(shapes: Shapes, areal: BoolArray) -> Shapes:
    """The parts of polygons and lines that lie in the core, on whole units and valid; perhaps empty."""
    core = shapely.box(0, 0, UNITS, UNITS)
    found = shapely.transform(np.asarray(shapely.intersection(shapes, core), dtype=object), np.round)
    broken = ~shapely.is_valid(found)
    if broken.any():
        found[broken] = shapely.intersection(shapes[broken], core, grid_size=1.0)
    return same_dimension(found, areal)


def clipped_once(rings: Rings, bounds: FloatArray) -> tuple[Rings, BoolArray]:
    """The same of polygons that cross one edge of the core once, or touch it, and which of them those are.

    Args:
        rings: the polygons.
        bounds: (n, 4) least x and y and greatest x and y of each.
    """
    done = np.zeros(len(rings.positions), dtype=bool)
    near = np.column_stack((bounds[:, :2] <= 0, bounds[:, 2:] >= UNITS))
    once = near.sum(axis=1) == 1
    some = np.flatnonzero(once)
    if not len(some):
        return rings.take(done), done
    outlines = _Outlines.of(rings.take(once), near[some].argmax(axis=1))
    alike = outlines.are_cut_once()
    some = some[alike]
    if not len(some):
        return rings.take(done), done
    cut, sure = outlines.take(alike).clipped()
    # What is rounded may cross itself.
    doubtful = sure & ~are_simple(cut.coords, cut.starts, cut.positions)
    if doubtful.any():
        sure[doubtful] = shapely.is_valid(cut.take(doubtful).shapes())
    done[some[sure]] = True
    return cut.take(sure), done


@dataclasses.dataclass
class _Outlines:
    """Exteriors of polygons, each of which reaches one edge of the core.

    Args:
        coords: positions of all, without the last of each, which is the first.
        counts: how many each has.
        edges: by ring, the edge that it reaches: 0 west, 1 north, 2 east, 3 south.
    """

    coords: FloatArray
    counts: IntArray
    edges: IntArray

    @classmethod
    def of(cls, rings: Rings, edges: IntArray) -> _Outlines:
        """Those of polygons."""
        closing = np.zeros(len(rings.coords), dtype=bool)
        closing[np.cumsum(rings.positions) - 1] = True
        return cls(np.compress(~closing, rings.coords, axis=0), rings.positions - 1, edges)

    def take(self, which: BoolArray) -> _Outlines:
        """Some of them."""
        coords = np.compress(np.repeat(which, self.counts), self.coords, axis=0)
        return _Outlines(coords, self.counts[which], self.edges[which])

    @cached_property
    def first(self) -> IntArray:
        """The first position of each."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def after(self) -> IntArray:
        """By position, the one after it in its ring."""
        after = np.arange(1, len(self.coords) + 1)
        after[self.first + self.counts - 1] = self.first
        return after

    @cached_property
    def before(self) -> IntArray:
        """By position, the one before it in its ring."""
        before = np.arange(-1, len(self.coords) - 1)
        before[self.first] = self.first + self.counts - 1
        return before

    @cached_property
    def depth(self) -> FloatArray:
        """By position, units from the edge: 0 on it, less beyond."""
        axes = np.repeat(self.edges % 2, self.counts)
        far = np.repeat(self.edges >= 2, self.counts)
        across = np.where(axes == 0, self.coords[:, 0], self.coords[:, 1])
        return np.where(far, UNITS - across, across)

    def are_cut_once(self) -> BoolArray:
        """Whether each is inside once, outside at most once, goes left around and stays nowhere."""
        inside, outside = self.depth > 0, self.depth < 0
        x, y = self.coords.T
        then_x, then_y = self.coords.take(self.after, axis=0).T
        area = x * then_y - then_x * y
        leaves, returns = inside & ~inside[self.after], outside & ~outside[self.after]
        stays = (x == then_x) & (y == then_y)
        once = (self._sums(leaves) == 1) & (self._sums(returns) <= 1) & (self._sums(stays) == 0)
        return np.asarray(once & (np.add.reduceat(area, self.first) > 0))

    def clipped(self) -> tuple[Rings, BoolArray]:
        """What is left in the core of rings that are cut once, and whether that is sure."""
        first, counts, after = self.first, self.counts, self.after
        inside, borders = self.depth > 0, self._borders()
        kept = inside | ((self.depth == 0) & (inside[self.before] | inside[after] | borders | borders[self.before]))
        gaps = counts - self._sums(kept)
        # By ring, in its order: the last position inside, the first that goes, the last that goes. Where none goes,
        # what is told of these two is not used.
        last = np.flatnonzero(inside & ~inside[after])
        back = last.copy()
        back[gaps > 0] = np.flatnonzero(~kept & kept[after])
        forth = first + (back - first - np.maximum(gaps - 1, 0)) % counts
        comes, goes = (gaps > 0) & inside[after[back]], (gaps > 0) & inside[self.before[forth]]
        begins, clear_begins = self._crossings(after[back], back, comes)
        ends, clear_ends = self._crossings(last, forth, goes)
        # Against the ring's order from the last inside to the last that goes, over the edge, and on. It begins there,
        # unless the ring itself, from its own beginning, comes to a stretch along the edge first.
        ahead = np.where(gaps > 0, (last - back) % counts, counts)
        met = comes.astype(np.int64) + goes
        lengths = counts - gaps + met
        start = (last - self._starts(borders, last)) % counts
        start += np.where(start >= ahead, met - gaps, 0)
        ends_at = np.cumsum(lengths + 1)
        places = np.arange(int(ends_at[-1])) - np.repeat(ends_at - lengths - 1, lengths + 1)
        places = (places + np.repeat(start, lengths + 1)) % np.repeat(lengths, lengths + 1)
        steps = places + np.where(places >= np.repeat(ahead + met, lengths + 1), np.repeat(gaps - met, lengths + 1), 0)
        ring = np.repeat(first, lengths + 1)
        source = ring + (np.repeat(last, lengths + 1) - ring - steps) % np.repeat(counts, lengths + 1)
        made = self.coords.take(source, axis=0)
        for which, at, there in ((comes, ahead, begins), (goes, ahead + comes, ends)):
            here = np.flatnonzero(np.repeat(which, lengths + 1) & (places == np.repeat(at, lengths + 1)))
            made[here] = there[np.repeat(np.arange(len(which)), lengths + 1)[here]]
        return Rings(made, lengths + 1), clear_begins & clear_ends

    def _borders(self) -> BoolArray:
        """By position, whether the ring goes on along the edge, with what it surrounds on this side of it."""
        along = np.where(np.repeat(self.edges % 2 == 0, self.counts), self.coords[:, 1], self.coords[:, 0])
        along = along[self.after] - along
        forward = np.repeat(np.array([False, True, True, False])[self.edges], self.counts)
        return np.asarray((self.depth == 0) & (self.depth[self.after] == 0) & np.where(forward, along > 0, along < 0))

    def _starts(self, borders: BoolArray, last: IntArray) -> IntArray:
        """Where GEOS begins: at the end of the first stretch between places on the edge that is left of the ring."""
        left = np.flatnonzero(borders | (self.depth > 0) | (self.depth[self.after] > 0))
        begin = left[np.searchsorted(left, self.first)]
        return np.where(borders[begin], begin, last)

    def _crossings(self, inner: IntArray, outer: IntArray, which: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Where lines from inside to outside meet the edge, on whole units, and whether that is sure.

        Args:
            inner, outer: by ring, the line's positions.
            which: rings of which that is asked; of others nothing is told.
        """
        met, clear = np.zeros((len(which), 2)), np.ones(len(which), dtype=bool)
        here, there, edges = self.coords[inner[which]], self.coords[outer[which]], self.edges[which]
        rows, axes, lines = np.arange(len(edges)), edges % 2, np.where(edges >= 2, float(UNITS), 0.0)
        start, end = here[rows, axes], there[rows, axes]
        # All are whole numbers and their products too, far below 2**53: only the division rounds.
        along = here[rows, 1 - axes] * (end - lines) + there[rows, 1 - axes] * (lines - start)
        along /= end - start
        places = np.flatnonzero(which)
        met[places, axes], met[places, 1 - axes] = lines, np.round(along)
        clear[places] = np.abs(along - np.floor(along) - 0.5) > UNSURE
        return met, clear

    def _sums(self, marks: BoolArray) -> IntArray:
        sums: IntArray = np.add.reduceat(marks.astype(np.int64), self.first)
        return sums
