"""Polygons that the predictor's process packed, read as arrays.

The other side is ``app/playground_interfaces/packing.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from playground.geo import FloatArray
from playground.packed import Coordinates, Polygons

MARKS = [("list", "u1"), ("length", "<i4"), ("before_x", "u1"), ("x", "<f8"), ("before_y", "u1"), ("y", "<f8")]
FLOATS = np.dtype(MARKS)
WHOLES = np.dtype([(name, "<i4" if kind == "<f8" else kind) for name, kind in MARKS])
"""A position as marshal writes it."""
COUNT = np.dtype("=u4")
HUNDREDTHS = 100.0
LARGE = 1e9
"""Up to it, a hundredth is so much more than what is between two floats that it is seen which hundredth is nearer."""
NEAR = 0.001
"""Hundredths: so near to the middle between two it is looked up which is nearer."""


def unpacked(forms: Sequence[str], counts: Sequence[int], data: bytearray | memoryview) -> list[list[Coordinates]]:
    """The polygons of several tiles.

    Args:
        forms: of each, what its numbers are: "i" whole ones, "g" floats; in capitals, still to be rounded.
        counts: how many polygons each has.
        data: of all, how many rings each polygon has, how many positions each ring has, and the positions.

    Raises:
        ValueError: it is not what it should be.
    """
    if min(counts, default=0) < 0:
        raise ValueError(f"a negative count: {min(counts)}")
    rings, data = _counts(data, sum(counts))
    positions, data = _counts(data, int(rings.sum()))
    found: list[list[Coordinates]] = []
    polygon = ring = 0
    for form, group in groupby(zip(forms, counts, strict=True), key=lambda each: each[0]):
        tiles = [count for _, count in group]
        last = polygon + sum(tiles)
        own = rings[polygon:last]
        lengths = positions[ring : ring + int(own.sum())]
        dtype = WHOLES if form in "iI" else FLOATS
        count = int(lengths.sum())
        coords = _coords(np.frombuffer(data[: count * dtype.itemsize], dtype, count))
        polygons = Polygons(own, lengths, rounded(coords) if form == "G" else coords, form == "i")
        data = data[count * dtype.itemsize :]
        first = 0
        for many in tiles:
            found.append([Coordinates(polygons, index) for index in range(first, first + many)])
            first += many
        polygon, ring = last, ring + len(lengths)
    if len(data):
        raise ValueError(f"{len(data)} bytes more than there are positions")
    return found


def _counts(data: Any, count: int) -> tuple[Any, memoryview]:
    """The next numbers, and what is behind them."""
    size = count * COUNT.itemsize
    return np.frombuffer(data, COUNT, count).astype(np.int64), memoryview(data)[size:]


def _coords(rows: Any) -> FloatArray:
    coords = np.empty((len(rows), 2))
    coords[:, 0], coords[:, 1] = rows["x"], rows["y"]
    return coords


def rounded(values: FloatArray) -> FloatArray:
    """Numbers as Python's ``round(value, 2)`` rounds each: by its exact decimals."""
    with np.errstate(over="ignore", invalid="ignore"):
        hundredths = values * HUNDREDTHS
        found: FloatArray = np.rint(hundredths) / HUNDREDTHS
        apart = np.abs(hundredths - np.floor(hundredths) - 0.5)
        unsure = ~((apart > NEAR) & (np.abs(values) < LARGE))
    if unsure.any():
        found[unsure] = [round(value, 2) for value in values[unsure].tolist()]
    return found
