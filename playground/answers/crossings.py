"""Rings that certainly cross themselves nowhere, many at once.

GEOS looks at polygons one by one, ten microseconds for each outline of thirty vertices. Here arithmetic on all of them
together tells of most: a ring that goes once around a point, always onward, meets itself nowhere; nor does one that
goes from one end to the other on one side of the line between them, and back on the other side, never turning round on
the way; and of a ring of a few vertices, two edges are apart if the line of one has the other on one side. Only what is
certain in floating point counts; whatever else there is (edges that touch, slivers, holes, tangles) is left to GEOS.
"""

from __future__ import annotations

import numpy as np

from playground.answers.table import BoolArray, IntArray
from playground.geo import FloatArray

MOST_EDGES = 12
"""The work grows with the square of a ring's edges: beyond these GEOS is as fast."""
LEAST_RINGS = 48
"""Fewer rings, of all or of one length, are GEOS' as well."""
CHUNK = 512
"""Rings at once, so that the tables stay in the processor's cache."""
MARGIN = 32 * float(np.finfo(np.float64).eps)
"""Times the square of a ring's extent: more than the rounding of a cross product of its edges."""


def are_simple(coords: FloatArray, starts: IntArray, positions: IntArray) -> BoolArray:
    """Whether each closed ring is certainly simple.

    Args:
        coords: (n, 2) positions of all rings.
        starts, positions: where each ring begins, and how many positions it has, the last one as the first.
    """
    if len(starts) < LEAST_RINGS:
        return np.zeros(len(starts), dtype=bool)
    certain = _are_stars(coords, starts, positions)
    others = ~certain
    if np.count_nonzero(others) < LEAST_RINGS:
        return certain
    sizes = positions[others]
    left = np.compress(np.repeat(others, positions), coords, axis=0)
    certain[others] = _are_banks(left, np.cumsum(sizes) - sizes, sizes)
    short = np.flatnonzero(~certain & (positions >= 4) & (positions <= MOST_EDGES + 1))
    if len(short) < LEAST_RINGS:
        return certain
    lengths = np.bincount(positions[short])
    for length in np.flatnonzero(lengths >= LEAST_RINGS).tolist():
        rings = short[positions[short] == length]
        steps = np.arange(length)[:, None]
        x, y = coords.T
        for first in range(0, len(rings), CHUNK):
            chunk = rings[first : first + CHUNK]
            places = starts[chunk] + steps
            certain[chunk] = _are_simple(x[places], y[places])
    return certain


def _are_stars(coords: FloatArray, starts: IntArray, positions: IntArray) -> BoolArray:
    """Whether each closed ring certainly goes once around the mean of its vertices, never back: so it is simple."""
    lasts = starts + positions - 1
    middles = (np.add.reduceat(coords, starts, axis=0) - coords[lasts]) / np.maximum(positions - 1, 1)[:, None]
    x, y = (coords - np.repeat(middles, positions, axis=0)).T
    turns = np.zeros(len(x))
    np.multiply(x[:-1], y[1:], out=turns[:-1])
    turns[:-1] -= x[1:] * y[:-1]
    turns[lasts] = turns[starts]  # not from ring to ring
    margin = np.maximum.reduceat(x * x + y * y, starts) * MARGIN
    onward = (np.minimum.reduceat(turns, starts) > margin) | (np.maximum.reduceat(turns, starts) < -margin)
    south = y < 0
    crossed = np.zeros(len(x), dtype=np.int64)
    crossed[:-1] = south[:-1] != south[1:]
    crossed[lasts] = 0
    once: BoolArray = np.add.reduceat(crossed, starts) == 2
    return onward & once


def _are_banks(coords: FloatArray, starts: IntArray, positions: IntArray) -> BoolArray:
    """Whether each closed ring certainly has two ends and, between them, two banks that lie apart, as rivers have.

    The ends are a westernmost and an easternmost vertex, or a northernmost and a southernmost one of what is higher
    than wide. What goes from one to the other and never back crosses itself nowhere, and what lies on different sides
    of the line through both does not meet.
    """
    x, y = np.ascontiguousarray(coords[:, 0]), np.ascontiguousarray(coords[:, 1])
    width, height = (np.maximum.reduceat(each, starts) - np.minimum.reduceat(each, starts) for each in (x, y))
    wide = np.repeat(width >= height, positions)
    along, across = np.where(wide, x, y), np.where(wide, y, x)
    ends = []
    for extreme in (np.minimum, np.maximum):
        there = np.flatnonzero(along == np.repeat(extreme.reduceat(along, starts), positions))
        ends.append(there[np.searchsorted(there, starts)])
    begin, end = ends
    turns = np.zeros(len(along), dtype=np.int8)
    turns[np.minimum(begin, end)] += 1
    turns[np.maximum(begin, end)] -= 1
    bank = 1.0 - 2.0 * np.cumsum(turns, dtype=np.int8)

    lasts = starts + positions - 1
    onward, aside = np.zeros(len(along)), np.zeros(len(along))
    for steps, numbers in ((onward, along), (aside, across)):
        np.subtract(numbers[1:], numbers[:-1], out=steps[:-1])
        steps[lasts] = steps[starts]  # not from ring to ring
    upright = onward == 0
    back = np.flatnonzero(upright[:-1] & upright[1:] & (aside[:-1] * aside[1:] <= 0))
    onward *= bank
    onward[lasts] = 0.0
    certain = (np.minimum.reduceat(onward, starts) >= 0) | (np.maximum.reduceat(onward, starts) <= 0)
    rings = np.searchsorted(lasts, back)
    certain[rings[back != lasts[rings]]] = False

    along -= np.repeat(along[begin], positions)
    across -= np.repeat(across[begin], positions)
    side = np.repeat(along[end], positions) * across
    side -= np.repeat(across[end], positions) * along
    side *= bank
    side[begin] = side[end] = side[lasts] = np.nan
    margin = (width * width + height * height) * MARGIN
    certain &= (np.fmin.reduceat(side, starts) > margin) | (np.fmax.reduceat(side, starts) < -margin)
    return np.asarray(certain)


def _are_simple(x: FloatArray, y: FloatArray) -> BoolArray:
    """The same for (positions, rings) x and y of rings of one length; row after row is one position of all rings."""
    x, y = x - x[0], y - y[0]
    reach = np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
    margin = reach * reach * MARGIN
    dx, dy = np.diff(x, axis=0), np.diff(y, axis=0)
    edges = len(dx)
    # side[i, j]: on which side of the line through edge i vertex j lies.
    side = dx[:, None] * y[None]
    side -= dy[:, None] * x[None]
    side -= (dx * y[:-1] - dy * x[:-1])[:, None]
    left, right = side > margin, side < -margin
    beside = (left[:, :-1] & left[:, 1:]) | (right[:, :-1] & right[:, 1:])
    first, second = np.triu_indices(edges, 2)
    apart = (first > 0) | (second < edges - 1)  # the first edge and the last one meet, too
    first, second = first[apart], second[apart]
    simple: BoolArray = (beside[first, second] | beside[second, first]).all(axis=0)
    # An edge must not fold back onto the one before: it turns, or goes on ahead.
    edge = np.arange(edges)
    then = (edge + 1) % edges
    turns = left[edge, then + 1] | right[edge, then + 1]
    simple &= (turns | (dx * dx[then] + dy * dy[then] > margin)).all(axis=0)
    return simple
