"""PMTiles files for tests, made by the format's own library, or by hand where it would not make such a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import mercantile
from pmtiles.tile import Compression, Entry, TileType, serialize_directory, serialize_header, zxy_to_tileid
from pmtiles.writer import Writer

HEADER = {
    "tile_type": TileType.PNG,
    "tile_compression": Compression.NONE,
    "min_lon_e7": -1800000000,
    "min_lat_e7": -850511287,
    "max_lon_e7": 1800000000,
    "max_lat_e7": 850511287,
}


def write_pmtiles(
    path: Path,
    tiles: Iterable[tuple[mercantile.Tile, bytes]],
    metadata: Mapping[str, object] | None = None,
    **header: object,
) -> Path:
    """By the format's own writer."""
    with path.open("wb") as file:
        writer = Writer(file)
        for tile, data in sorted(tiles, key=lambda item: zxy_to_tileid(item[0].z, item[0].x, item[0].y)):
            writer.write_tile(zxy_to_tileid(tile.z, tile.x, tile.y), data)
        writer.finalize({**HEADER, **header}, dict(metadata or {}))
    return path


def assemble(root: bytes | list[Entry], tiles: bytes, leaves: bytes = b"", **header: object) -> bytes:
    """A file of these parts, one behind the other; ``header`` overrides what fits them."""
    packed = header.get("internal_compression", Compression.GZIP) == Compression.GZIP
    if isinstance(root, list):
        root = directory(root, packed)
    metadata = gzip.compress(b"{}") if packed else b"{}"
    at = 127
    places = {}
    for name, part in (("root", root), ("metadata", metadata), ("leaf_directory", leaves), ("tile_data", tiles)):
        places |= {f"{name}_offset": at, f"{name}_length": len(part)}
        at += len(part)
    fields = {"clustered": False, "internal_compression": Compression.GZIP, "min_zoom": 0, "max_zoom": 30}
    return serialize_header({**HEADER, **fields, **places, **header}) + root + metadata + leaves + tiles


def directory(entries: list[Entry], packed: bool = True) -> bytes:
    data: bytes = serialize_directory(entries)
    return data if packed else gzip.decompress(data)
