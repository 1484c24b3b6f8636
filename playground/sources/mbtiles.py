"""MBTiles: tiles in one SQLite file (https://github.com/mapbox/mbtiles-spec, version 1.3)."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import mercantile

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources.base import SourceInfo, TileSource, name_of


class MBTilesSource(TileSource):
    """The tiles of an MBTiles file, which is opened read-only."""

    local = True

    def __init__(self, text: str) -> None:
        self._path = Path(text).expanduser()
        # One connection behind a lock: a row takes some microseconds, and SQLite would do the same locking itself.
        self._lock = threading.Lock()
        if not self._path.is_file():
            raise SourceSettingsError(f"there is no file {text}", "give the path of an MBTiles file")
        try:
            address = f"{self._path.resolve().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise SourceSettingsError(f"{text} cannot be opened: {error}") from error
        try:
            self._info = self._read_info()
        except sqlite3.Error as error:
            self._connection.close()
            raise SourceSettingsError(
                f"{text} is not an MBTiles file: {error}", "an MBTiles file is an SQLite database with a table of tiles"
            ) from error
        except SourceSettingsError:
            self._connection.close()
            raise

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        try:
            with self._lock:
                row = self._connection.execute(
                    "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?",
                    _address(tile),
                ).fetchone()
        except sqlite3.Error as error:
            raise TileSourceError(f"{self._path.name}, tile {name_of(tile)}: {error}") from error
        if row is None or not row[0]:
            raise self._lacks(tile)
        return bytes(row[0])

    def fetch_many(
        self, tiles: Sequence[mercantile.Tile], deadline: float | None = None
    ) -> dict[mercantile.Tile, bytes | TileNotFoundError | TileSourceError]:
        """As ``fetch``; those that follow one another down a column are one query."""
        found: dict[mercantile.Tile, bytes | TileNotFoundError | TileSourceError] = {}
        for stretch in _stretches(tiles):
            if len(stretch) == 1:
                found.update(super().fetch_many(stretch, deadline))
                continue
            ((zoom, x, first), last) = _address(stretch[-1]), _row_from_the_south(stretch[0])
            try:
                with self._lock:
                    rows = dict(
                        self._connection.execute(
                            "SELECT tile_row, tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? "
                            "AND tile_row BETWEEN ? AND ?",
                            (zoom, x, first, last),
                        ).fetchall()
                    )
            except sqlite3.Error:
                found.update(super().fetch_many(stretch, deadline))  # one of them may be to blame
                continue
            for tile in stretch:
                data = rows.get(_row_from_the_south(tile))
                found[tile] = bytes(data) if data else self._lacks(tile)
        return found

    def url(self, tile: mercantile.Tile) -> str:
        return f"mbtiles://{self._path.name}/{name_of(tile)}"

    def info(self) -> SourceInfo:
        return self._info

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _lacks(self, tile: mercantile.Tile) -> TileNotFoundError:
        return TileNotFoundError(f"{self._path.name} has no tile {name_of(tile)}")

    def _read_info(self) -> SourceInfo:
        run = self._connection.execute
        first = run("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles LIMIT 1").fetchone()
        has_metadata = run("SELECT 1 FROM sqlite_master WHERE name = 'metadata'").fetchone()
        metadata = dict(run("SELECT name, value FROM metadata").fetchall()) if has_metadata else {}
        kind = imagery.image_format(bytes(first[3] or b"")) if first else None
        if first and kind is None:
            what = imagery.describe(bytes(first[3] or b""))
            raise SourceSettingsError(
                f"{self._path} holds no pictures: its first tile is {what}",
                "predictors need tiles of JPEG, PNG or WebP",
            )
        # Two queries, because SQLite answers each from the index, but not both at once.
        minzoom, maxzoom = (run(f"SELECT {end}(zoom_level) FROM tiles").fetchone()[0] for end in ("min", "max"))  # noqa: S608
        return SourceInfo(
            name=metadata.get("name") or self._path.stem,
            minzoom=minzoom,
            maxzoom=maxzoom,
            bounds=_bounds(metadata.get("bounds")),
            format=kind,
            attribution=metadata.get("attribution"),
        )


def write_mbtiles(path: Path, metadata: Mapping[str, object], tiles: Iterable[tuple[mercantile.Tile, bytes]]) -> None:
    """Write an MBTiles file, whole or not at all: a file of another name is renamed when it is complete.

    Args:
        path: where to; replaced if it is there.
        metadata: ``name`` and ``format`` (jpg, png, webp) belong into every file; a tuple, such as ``bounds`` (west,
            south, east, north), is joined by commas.
        tiles: XYZ addresses and encoded tiles; of one address the last counts.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        try:
            # Nobody reads this file before it is renamed, so nothing needs to survive a crash.
            connection.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
                "CREATE TABLE metadata (name TEXT, value TEXT);"
                "CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB);"
                "CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row);"
            )
            connection.executemany(
                "INSERT INTO metadata VALUES (?, ?)", [(name, _text(value)) for name, value in metadata.items()]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)",
                ((tile.z, tile.x, _row_from_the_south(tile), data) for tile, data in tiles),
            )
            connection.execute("COMMIT")
        finally:
            connection.close()
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _stretches(tiles: Sequence[mercantile.Tile]) -> Iterator[Sequence[mercantile.Tile]]:
    """Tiles in the order that they have, cut where the next is not the one below."""
    start = 0
    for at, (tile, other) in enumerate(pairwise(tiles), 1):
        if (tile.z, tile.x, tile.y + 1) != (other.z, other.x, other.y):
            yield tiles[start:at]
            start = at
    if tiles:
        yield tiles[start:]


def _address(tile: mercantile.Tile) -> tuple[int, int, int]:
    """As the table has it."""
    return tile.z, tile.x, _row_from_the_south(tile)


def _row_from_the_south(tile: mercantile.Tile) -> int:
    """MBTiles keeps TMS rows: row 0 is the southernmost, where XYZ has it in the north."""
    return int(2**tile.z - 1 - tile.y)


def _bounds(text: str | None) -> tuple[float, float, float, float] | None:
    """(west, south, east, north) of the metadata's text; None where it says nothing that can be read."""
    try:
        west, south, east, north = (float(part) for part in (text or "").split(","))
    except ValueError:
        return None
    return (west, south, east, north)


def _text(value: object) -> str:
    return ",".join(f"{part}" for part in value) if isinstance(value, tuple) else f"{value}"
