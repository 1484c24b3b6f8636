"""The bytes of PMTiles version 3 (https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md). Reads no files.

Everything read here may be broken or hostile: each length is checked before anything of that size is made.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import NamedTuple

import mercantile
import numpy as np
import numpy.typing as npt

from playground.errors import SourceSettingsError

HEADER_BYTES = 127
MAX_DIRECTORY_BYTES = 4 * 2**20
"""Of a directory or the metadata, packed and unpacked; a root directory has at most 16 kB, leaves rarely 100."""
MAX_ZOOM = 30

_HEADER = struct.Struct("<7sB11Q6B4i")
_COMPRESSIONS = {0: "unknown", 1: "none", 2: "gzip", 3: "brotli", 4: "zstd"}
_TYPES = {0: None, 1: "mvt", 2: "png", 3: "jpeg", 4: "webp", 5: "avif", 6: "mlt"}
_PICTURES = (None, "png", "jpeg", "webp")

Numbers = npt.NDArray[np.uint64]


class FormatError(Exception):
    """Not what the specification says."""


class Section(NamedTuple):
    """A part of the file, in bytes."""

    offset: int
    length: int


class Header(NamedTuple):
    """What the first 127 bytes say."""

    root: Section
    metadata: Section
    leaves: Section
    tiles: Section
    internal_gzip: bool
    """Directories and metadata are packed; else they are as they are."""
    tile_gzip: bool
    format: str | None
    """``png``, ``jpeg``, ``webp``, or None where it is not said."""
    minzoom: int
    maxzoom: int
    bounds: tuple[float, float, float, float] | None
    """(west, south, east, north), degrees; None where they are nonsense."""


class Directory(NamedTuple):
    """Entries in the order of their tile ids: uint64 arrays of one length."""

    ids: Numbers
    runs: Numbers
    """How many tiles in a row are the same picture; 0: the entry names a leaf directory."""
    lengths: Numbers
    offsets: Numbers

    def find(self, tile_id: int) -> tuple[int, int, int] | None:
        """(offset, length, run) of the entry that holds a tile, or of the leaf that may; None if there is neither."""
        place = int(self.ids.searchsorted(np.uint64(tile_id), "right")) - 1
        if place < 0:
            return None
        run = int(self.runs[place])
        if run and tile_id - int(self.ids[place]) >= run:
            return None
        return int(self.offsets[place]), int(self.lengths[place]), run


def read_header(data: bytes) -> Header:
    """The header, from the first bytes of a file.

    Raises:
        FormatError: no PMTiles of version 3, or sections that cannot be.
        SourceSettingsError: whole, but no pictures, or packed in a way that is not read.
    """
    if data[:7] != b"PMTiles":
        raise FormatError("it does not start like one")
    if len(data) < HEADER_BYTES:
        raise FormatError("it ends within its header")
    fields = _HEADER.unpack_from(data)
    if fields[1] != 3:
        raise FormatError(f"it is of version {fields[1]}, and only version 3 is read")
    root, metadata, leaves, tiles = (Section(*fields[at : at + 2]) for at in (2, 4, 6, 8))
    if root.offset < HEADER_BYTES or not 0 < root.length <= MAX_DIRECTORY_BYTES:
        raise FormatError(f"its root directory cannot be: {root.length} bytes at {root.offset}")
    if metadata.length > MAX_DIRECTORY_BYTES:
        raise FormatError(f"its metadata cannot be: {metadata.length} bytes")
    _, internal, compression, kind, minzoom, maxzoom = fields[13:19]
    if not minzoom <= maxzoom <= MAX_ZOOM:
        raise FormatError(f"its zooms cannot be: {minzoom} to {maxzoom}")
    if _TYPES.get(kind, "unknown") not in _PICTURES:
        raise SourceSettingsError(
            f"holds no pictures but {_TYPES.get(kind, f'tiles of the unknown type {kind}')}",
            "predictors need tiles of JPEG, PNG or WebP",
        )
    for what, packed in (("directories", internal), ("tiles", compression)):
        if packed not in (0, 1, 2):
            name = _COMPRESSIONS.get(packed, f"the unknown compression {packed}")
            raise SourceSettingsError(f"has {what} packed by {name}", "none and gzip are read; convert the file")
    return Header(
        root,
        metadata,
        leaves,
        tiles,
        internal_gzip=internal == 2,
        tile_gzip=compression == 2,
        format=_TYPES[kind],
        minzoom=minzoom,
        maxzoom=maxzoom,
        bounds=_bounds(*(degrees / 1e7 for degrees in fields[19:23])),
    )


def unpack(data: bytes, packed: bool, max_bytes: int = MAX_DIRECTORY_BYTES) -> bytes:
    """Bytes of a section, unzipped where they are packed.

    Raises:
        FormatError: not gzip, cut short, or larger than ``max_bytes``.
    """
    if not packed:
        return data
    unzip = zlib.decompressobj(wbits=31)
    try:
        out = unzip.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise FormatError(f"gzip: {error}") from error
    if len(out) > max_bytes:
        raise FormatError(f"it unpacks to more than {max_bytes} bytes")
    if not unzip.eof:
        raise FormatError("gzip: it ends too early")
    return out


def read_directory(data: bytes, inside: int) -> Directory:
    """A directory.

    Args:
        data: unpacked.
        inside: bytes that entries may point to: no tile and no leaf lies beyond.

    Raises:
        FormatError: it does not follow the specification.
    """
    numbers = _varints(data)
    count = int(numbers[0]) if len(numbers) else 0
    if len(numbers) != 1 + 4 * count:
        raise FormatError(
            f"a directory says {count} entries and holds {max(len(numbers) - 1, 0)} numbers, not four each"
        )
    steps, runs, lengths, places = (numbers[1 + part * count : 1 + (part + 1) * count] for part in range(4))
    if count == 0:
        return Directory(steps, runs, lengths, places)
    limit = np.uint64(4**31)
    if (steps >= limit).any() or (runs >= limit).any() or (lengths > inside).any() or (places > inside).any():
        raise FormatError("a directory points beyond the file")
    ids = np.cumsum(steps, dtype=np.uint64)
    # 0 stands for: right behind the entry before. So each follows from the last one that says where it is.
    said = np.maximum.accumulate(np.where(places > 0, np.arange(count), -1))
    if said[0] < 0 or (steps[1:] == 0).any() or (ids[1:] <= ids[:-1]).any():
        raise FormatError("the entries of a directory are not in order")
    before = np.concatenate((np.zeros(1, np.uint64), np.cumsum(lengths, dtype=np.uint64)[:-1]))
    offsets = places[said] - np.uint64(1) + before - before[said]
    if (offsets + lengths > inside).any():
        raise FormatError("a directory points beyond the file")
    return Directory(ids, runs.copy(), lengths.copy(), offsets)


def tile_id(tile: mercantile.Tile) -> int:
    """The place of a tile on the Hilbert curves of all zooms, one behind the other; four bits of x and y at a step."""
    table = _hilbert_table()
    steps = -(-tile.z // 4)
    # Each level above the first quadrant of the curve turns it: x and y change places.
    state = (4 * steps - tile.z) % 2
    place = 0
    for shift in range(4 * steps - 4, -1, -4):
        digit, state = table[state << 8 | (tile.x >> shift & 15) << 4 | tile.y >> shift & 15]
        place = place << 8 | digit
    return int((4**tile.z - 1) // 3 + place)


@functools.cache
def _hilbert_table() -> list[tuple[int, int]]:
    """(Eight bits of the curve, next state) by state, four bits of x, four bits of y; state: 1 swapped, 2 inverted."""
    table = []
    for start in range(4):
        for x in range(16):
            for y in range(16):
                state, place = start, 0
                for bit in (3, 2, 1, 0):
                    right, down = x >> bit & 1, y >> bit & 1
                    if state & 1:
                        right, down = down, right
                    if state & 2:
                        right, down = 1 - right, 1 - down
                    place = place << 2 | (3 * right) ^ down
                    if not down:
                        state ^= 1 | right << 1
                table.append((place, state))
    return table


def _varints(data: bytes) -> Numbers:
    """All numbers of a run of LEB128 varints: seven bits a byte, the low ones first, the last byte below 128."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    if len(raw) == 0 or ends.size == 0 or ends[-1] != len(raw) - 1:
        raise FormatError("a directory ends within a number")
    starts = np.concatenate((np.zeros(1, ends.dtype), ends[:-1] + 1))
    sizes = ends - starts + 1
    longest = int(sizes.max())
    if longest > 9:
        raise FormatError("a directory holds a number of more than 63 bits")
    values = (raw[starts] & 127).astype(np.uint64)
    for byte in range(1, longest):
        more = np.flatnonzero(sizes > byte)
        values[more] |= (raw[starts[more] + byte] & 127).astype(np.uint64) << np.uint64(7 * byte)
    return values


def _bounds(west: float, south: float, east: float, north: float) -> tuple[float, float, float, float] | None:
    sane = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if sane else None
