"""PMTiles: tiles in one file, on this machine or on a web server that gives parts of files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import cachetools
import mercantile

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.fetching.urls import without_secrets
from playground.sharing import SharedCache
from playground.sources import pmtiles_format as fmt
from playground.sources.base import SourceInfo, TileSource, name_of
from playground.sources.parts import LocalFile, RemoteFile, ReplacedError

if TYPE_CHECKING:
    from playground.fetching.policy import FetchPolicy

FIRST_BYTES = 16384
"""The header and the root directory lie within, says the specification."""
MAX_TILE_BYTES = 16 * 2**20
"""A larger entry is no tile."""
MAX_DEPTH = 4
"""Directories from the root to a tile."""
CACHED_ENTRIES = 2**20
"""Entries of leaf directories kept; 32 bytes each."""
OPEN_SECONDS = 15.0


class _Archive(NamedTuple):
    header: fmt.Header
    root: fmt.Directory
    leaves: SharedCache[tuple[int, int], fmt.Directory]
    info: SourceInfo


class PMTilesSource(TileSource):
    """The pictures of a PMTiles file. Its directories are read once and kept.

    Args:
        text: a path, or the http or https address of a file whose server answers range requests.
        policy: what the configuration says about fetching; the address's host is added to it.
    """

    takes_policy = True

    def __init__(self, text: str, policy: FetchPolicy | None = None) -> None:
        self._shown = without_secrets(text)
        self.local = not text.lower().startswith(("http://", "https://"))
        self._file = LocalFile(text) if self.local else RemoteFile(text, policy)
        self.policy = self._file.policy
        self._name = Path(text).name if self.local else urlsplit(text).path.rpartition("/")[2]
        self._archive: _Archive | None = None
        try:
            self._archive = self._open(time.monotonic() + OPEN_SECONDS)
        except TileSourceError:
            if self.local:  # a server that is down now may be up when the first tile is asked for
                self.close()
                raise
        except BaseException:
            self.close()
            raise

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        try:
            return self._fetch(tile, deadline)
        except ReplacedError:
            self._archive = None
        try:
            return self._fetch(tile, deadline)
        except ReplacedError:
            raise TileSourceError(f"{self._shown} changes while it is read", "try again") from None

    def url(self, tile: mercantile.Tile) -> str:
        return f"{self._shown}#{name_of(tile)}" if not self.local else f"pmtiles://{self._name}/{name_of(tile)}"

    def info(self) -> SourceInfo:
        return self._opened(None).info

    def outcomes(self) -> dict[str, int]:
        return self._file.outcomes()

    def close(self) -> None:
        self._file.close()

    def _opened(self, deadline: float | None) -> _Archive:
        archive = self._archive
        if archive is None:
            archive = self._archive = self._open(deadline)
        return archive

    def _fetch(self, tile: mercantile.Tile, deadline: float | None) -> bytes:
        header, directory, leaves, _ = self._opened(deadline)
        if not header.minzoom <= tile.z <= header.maxzoom:
            raise TileNotFoundError(f"{self._name} has no tile {name_of(tile)}")
        number = fmt.tile_id(tile)
        for _ in range(MAX_DEPTH):
            entry = directory.find(number)
            if entry is None:
                break
            offset, length, run = entry
            if run:
                return self._read_tile(tile, header, offset, length, deadline)
            directory = leaves.get((offset, length), lambda at=(offset, length): self._read_leaf(header, at, deadline))  # type: ignore[misc]
        else:
            raise TileSourceError(f"{self._shown} is broken: its directories go round in circles")
        raise TileNotFoundError(f"{self._name} has no tile {name_of(tile)}")

    def _read_tile(
        self, tile: mercantile.Tile, header: fmt.Header, offset: int, length: int, deadline: float | None
    ) -> bytes:
        where = f"{self._name}, tile {name_of(tile)}"
        if length > MAX_TILE_BYTES:
            raise TileSourceError(f"{where}: {length} bytes are no tile", f"at most {MAX_TILE_BYTES} are read")
        data = self._file.read(header.tiles.offset + offset, length, deadline)
        if len(data) < length:
            raise TileSourceError(f"{where}: the file ends within it", "is the file whole?")
        if header.tile_gzip:
            try:
                data = fmt.unpack(data, True, MAX_TILE_BYTES)
            except fmt.FormatError as error:
                raise TileSourceError(f"{where}: {error}") from error
        if not data:
            raise TileNotFoundError(f"{self._name} has no tile {name_of(tile)}")
        if imagery.image_format(data) is None:
            raise TileSourceError(f"{where}: not an image but {imagery.describe(data)}")
        return data

    def _read_leaf(self, header: fmt.Header, entry: tuple[int, int], deadline: float | None) -> fmt.Directory:
        offset, length = entry
        try:
            if not 0 < length <= fmt.MAX_DIRECTORY_BYTES:
                raise fmt.FormatError(f"a leaf directory cannot have {length} bytes")
            data = self._file.read(header.leaves.offset + offset, length, deadline)
            return fmt.read_directory(fmt.unpack(data, header.internal_gzip), _reach(header))
        except fmt.FormatError as error:
            raise TileSourceError(f"{self._shown} is broken: {error}", "is the file whole?") from error

    def _open(self, deadline: float | None) -> _Archive:
        try:
            first = self._file.read(0, FIRST_BYTES, deadline)
            header = fmt.read_header(first)
            self._check_size(header)
            packed = self._part(first, header.root, deadline)
            root = fmt.read_directory(fmt.unpack(packed, header.internal_gzip), _reach(header))
            metadata = self._read_metadata(first, header, deadline)
        except fmt.FormatError as error:
            raise SourceSettingsError(
                f"{self._shown} is no PMTiles file that can be read: {error}", "is the file whole?"
            ) from error
        except SourceSettingsError as error:
            raise SourceSettingsError(f"{self._shown} {error.message}", error.hint) from error
        info = SourceInfo(
            name=str(metadata.get("name") or Path(self._name).stem),
            minzoom=header.minzoom,
            maxzoom=header.maxzoom,
            bounds=header.bounds,
            format=header.format,
            attribution=str(metadata["attribution"]) if metadata.get("attribution") else None,
        )
        leaves: SharedCache[tuple[int, int], fmt.Directory] = SharedCache(
            cachetools.LRUCache(CACHED_ENTRIES, getsizeof=lambda directory: len(directory.ids) + 1)
        )
        return _Archive(header, root, leaves, info)

    def _check_size(self, header: fmt.Header) -> None:
        size = self._file.size()
        for section in (header.root, header.metadata, header.leaves, header.tiles):
            end = section.offset + section.length
            if size is not None and section.length and end > size:
                raise fmt.FormatError(f"it should have {end} bytes at least, and has {size}")

    def _read_metadata(self, first: bytes, header: fmt.Header, deadline: float | None) -> dict[str, object]:
        if not header.metadata.length:
            return {}
        try:
            found = json.loads(fmt.unpack(self._part(first, header.metadata, deadline), header.internal_gzip))
        except (ValueError, RecursionError) as error:
            raise fmt.FormatError(f"its metadata is no JSON ({error})") from error
        return found if isinstance(found, dict) else {}

    def _part(self, first: bytes, section: fmt.Section, deadline: float | None) -> bytes:
        if section.offset + section.length <= len(first):
            return first[section.offset : section.offset + section.length]
        return self._file.read(section.offset, section.length, deadline)


def _reach(header: fmt.Header) -> int:
    """Bytes behind the start of a section that an entry may point to."""
    return max(header.tiles.length, header.leaves.length)
