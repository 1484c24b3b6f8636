"""Positions, as predictors and JSON readers give them, as one array of numbers.

A list of short lists is what Python is slowest at, so it is not walked by Python: msgpack and marshal write it as bytes
in which, if every position is two floats, or two whole numbers, each takes the same room. What is between the numbers
tells whether that is so; of anything else they are read one by one, by what takes numbers only.
"""

from __future__ import annotations

import marshal
import struct
from array import array
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from playground.geo import FloatArray

FLOATS = np.dtype([("list", "u1"), ("before_x", "u1"), ("x", ">f8"), ("before_y", "u1"), ("y", ">f8")])
FLOAT_TAGS = {"list": 0x92, "before_x": 0xCB, "before_y": 0xCB}
"""msgpack: an array of two, a float of 64 bits."""
WHOLES = np.dtype(
    [("list", "u1"), ("length", "<i4"), ("before_x", "u1"), ("x", "<i4"), ("before_y", "u1"), ("y", "<i4")]
)
WHOLE_TAGS = {"list": ord("["), "length": 2, "before_x": ord("i"), "before_y": ord("i")}
"""marshal: a list and its length, a whole number of 32 bits."""
MARSHAL_VERSION = 2
"""The last that writes every object in full, however often it is there."""

LEAST = 256
"""Fewer positions are read sooner than it is looked what they are."""

_encode = msgspec.msgpack.Encoder().encode


def numbers_of(positions: list[Any]) -> tuple[FloatArray, int]:
    """(n, 2) numbers of positions, and how many each of them had; those after the second are left out.

    Raises:
        TypeError, ValueError, OverflowError: anything but numbers in positions, all as long.
    """
    found = _alike(positions) if len(positions) >= LEAST else None
    return _one_by_one(positions) if found is None else (found, 2)


def _alike(positions: list[Any]) -> FloatArray | None:
    """The same of positions that are lists of two floats, or of two whole numbers, all of them; None of others."""
    try:
        kind = type(positions[0][0])
        if kind is float:
            data, head = _encode(positions), _msgpack_head(len(positions))
            dtype, tags = FLOATS, FLOAT_TAGS
        elif kind is int:
            data, head = marshal.dumps(positions, MARSHAL_VERSION), 5
            dtype, tags = WHOLES, WHOLE_TAGS
        else:
            return None
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError):
        return None
    if len(data) != head + len(positions) * dtype.itemsize:
        return None
    rows = np.frombuffer(data, dtype, offset=head)
    if any((rows[name] != tag).any() for name, tag in tags.items()):
        return None
    coords = np.empty((len(rows), 2))
    coords[:, 0], coords[:, 1] = rows["x"], rows["y"]
    return coords


def _msgpack_head(length: int) -> int:
    """Bytes that tell of an array and its length."""
    return 1 if length < 2**4 else 3 if length < 2**16 else 5


def _one_by_one(positions: list[Any]) -> tuple[FloatArray, int]:
    # struct and array take numbers only, where numpy would read strings and None.
    try:
        columns = ([x for x, _ in positions], [position[1] for position in positions])
    except ValueError:  # not two each
        widths = set(map(len, positions))
        width = widths.pop()
        if widths or width < 2:
            raise ValueError("positions of different lengths") from None
        numbers = np.array(array("d", list(chain.from_iterable(positions))), dtype=np.float64)
        return np.ascontiguousarray(numbers.reshape(-1, width)[:, :2]), width
    coords = np.empty((len(positions), 2))
    pack = struct.Struct(f"{len(positions)}d").pack
    try:
        for column, values in enumerate(columns):
            coords[:, column] = np.frombuffer(pack(*values))
    except struct.error as error:
        raise TypeError(str(error)) from error
    return coords, 2
