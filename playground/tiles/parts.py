"""Parts of JPEG tiles: pixels equal to those of the whole tile, for less.

A JPEG is decoded from its top on. Of a tile below, the padding touches only the first rows, and its header is rewritten
to say that there are no more: 0.03 ms in place of 0.15 for 24 of 256 rows. Of the other neighbours the rows or columns
come last, so those are decoded whole, but into memory that is used again: fresh memory costs as much as half a decode,
because the system has to hand it out page by page.
"""

from __future__ import annotations

import threading

import numpy as np
import simplejpeg

from playground import imagery
from playground.imagery import Pixels

MAX_SCRATCH_BYTES = 4 * 2**20
"""Kept by each thread that decodes, at most."""


class Scratch(threading.local):
    """Memory to decode into, one for each thread."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def room(self, size: int) -> Pixels:
        """So many bytes; they are overwritten by the next use in this thread."""
        if size > MAX_SCRATCH_BYTES:
            return np.empty(size, np.uint8)
        if self._bytes.size < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size]


def bands_of_jpeg(data: bytes) -> int | None:
    """1 or 3 for a whole grey or coloured JPEG; None for what ``decode_rows`` cannot take."""
    if imagery.image_format(data) != "jpeg" or not data.endswith(b"\xff\xd9"):
        return None
    try:
        _, _, colour, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return {"Gray": 1, "CMYK": None}.get(colour, 3)


def decode_rows(data: bytes, bands: int, size: int, rows: int, scratch: Scratch) -> Pixels | None:
    """The first rows of a JPEG, or a few more.

    Args:
        data: the file.
        bands: see ``bands_of_jpeg``.
        size: its width and height.
        rows: that are needed, 1 to ``size``.
        scratch: memory to decode into.

    Returns:
        (rows or more, size, bands), valid until this thread decodes again; None if whoever reads the whole tile has to
        say what is wrong with it.
    """
    short = _shortened(data, size, rows)
    room = scratch.room((short[1] if short else size) * size * bands)
    colour = "GRAY" if bands == 1 else "RGB"
    try:
        if short is None:
            return simplejpeg.decode_jpeg(data, colour, buffer=room)  # type: ignore[no-any-return]
        # Not strict, since what follows the last of these rows is more than the new header lets expect.
        return simplejpeg.decode_jpeg(short[0], colour, buffer=room, strict=False)  # type: ignore[no-any-return]
    except ValueError:
        return None


def _shortened(data: bytes, size: int, rows: int) -> tuple[bytes, int] | None:
    """The file with a header of fewer rows, and how many; None where that saves nothing or might not be the same."""
    found = _frame(data) if rows < size else None
    if found is None:
        return None
    height_at, block = found
    # The last rows of a picture are drawn from fewer neighbours where colours are subsampled: so one block more.
    kept = -(-(rows + (block > 8)) // block) * block
    if kept >= size:
        return None
    return data[:height_at] + kept.to_bytes(2, "big") + data[height_at + 2 :], kept


def _frame(data: bytes) -> tuple[int, int] | None:
    """(where the height stands, rows of a block) of a sequential JPEG with one scan, else None."""
    at, found, components = 2, None, 0
    while at + 10 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1):  # baseline, extended sequential; progressive ones come in many scans
            components = data[at + 9]
            samplings = data[at + 11 : at + 11 + 3 * components : 3]
            found = at + 5, 8 * max((sampling & 15 for sampling in samplings), default=1)
        elif marker == 0xDA:
            return found if data[at + 4] == components else None
        elif 0xC2 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
        at += 2 + length
    return None
