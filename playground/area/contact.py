"""Parts on the two sides of a tile edge: which touch, and which of those are one object."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import shapely

from playground.area.objects import Member
from playground.area.parts import EAST, OPPOSITE, WEST, Runs

AGREE = 0.5
"""Share of the shorter stretch along an edge that both tiles must see of one object."""
FIVE = struct.Struct("<13s10d")
"""The WKB of a polygon of one ring of five positions: what it is and how many they are, then these."""


def contacts(before: list[Member], after: list[Member], edge: int) -> Iterator[tuple[Member, Member]]:
    """Parts of two sides that touch along the edge, in the order of the edge."""
    if not before or not after:
        return
    if len(before) == len(after) == 1:  # nearly all: nothing to sort
        for low, high in before[0].part.inner[edge]:
            for start, end in after[0].part.inner[OPPOSITE[edge]]:
                if low <= end and start <= high:
                    yield before[0], after[0]
                    return
        return
    firsts = sorted((run, place) for place, member in enumerate(before) for run in member.part.inner[edge])
    seconds = sorted((run, place) for place, member in enumerate(after) for run in member.part.inner[OPPOSITE[edge]])
    start = 0
    longest = max(high - low for (low, high), _ in seconds)
    found: dict[tuple[int, int], None] = {}
    for (low, high), place in firsts:
        while start < len(seconds) and seconds[start][0][0] < low - longest:
            start += 1
        for index in range(start, len(seconds)):
            (other_low, other_high), other = seconds[index]
            if other_low > high:
                break
            if other_high >= low:
                found[(place, other)] = None
    for place, other in found:
        yield before[place], after[other]


def same(first: Member, second: Member, edge: int) -> bool:
    """Whether two parts that touch are one object: of one category, and each side's view of the other agrees."""
    one, other = first.part, second.part
    if one.properties.get("category") != other.properties.get("category"):
        return False
    if one.box and other.box and one.outer is not None and other.outer is not None:
        return _same_box(first, second, edge)
    here, there = one.inner[edge], other.inner[OPPOSITE[edge]]
    views = []
    if one.outer is not None:
        views.append((one.outer[edge], there))
    if other.outer is not None:
        views.append((other.outer[OPPOSITE[edge]], here))
    for start, end in here:
        for begin, stop in there:
            low, high = max(start, begin), min(end, stop)
            if low > high:
                continue
            agreeing = (_agree(view, actual, low, high) for view, actual in views)
            # A corner alone is a contact only if both tiles say so; without padding an edge says it all.
            if (any(agreeing) or not views) if low < high else (len(views) == 2 and all(agreeing)):
                return True
    return False


def _agree(view: Runs, actual: Runs, low: float, high: float) -> bool:
    """Whether what a tile sees beyond its edge is what the neighbour has there, near a contact."""
    for start, end in view:
        if end < low or start > high:
            continue
        for begin, stop in actual:
            if stop < low or begin > high:
                continue
            if min(end, stop) - max(start, begin) >= AGREE * min(end - start, stop - begin):
                return True
    return False


def _same_box(first: Member, second: Member, edge: int) -> bool:
    """Whether two rectangles are one, where both tiles look: they may overlap and yet be two."""
    one, other = _bounds(first.part.seen), _bounds(second.part.seen)
    # Along the edge both show all of it, across it each ends with its padding.
    axis = 1 if edge in (WEST, EAST) else 0
    lows, highs = (one[axis], other[axis]), (one[axis + 2], other[axis + 2])
    shared = min(highs) - max(lows)
    return bool(shared >= AGREE * (max(highs) - min(lows)))


def _bounds(rectangle: bytes) -> tuple[float, float, float, float]:
    """The bounds of a rectangle's WKB: nearly always five positions, which need no geometry."""
    if len(rectangle) != FIVE.size or rectangle[0] != 1:
        west, south, east, north = shapely.bounds(shapely.from_wkb(rectangle)).tolist()
        return west, south, east, north
    numbers = FIVE.unpack(rectangle)[1:]
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
