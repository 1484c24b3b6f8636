"""Images of many tiles: what they show is fetched at once, and decoded strip by strip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import mercantile

from playground import geo
from playground.errors import PlaygroundError, TileSourceError
from playground.mosaic import neighbourhood
from playground.sources.base import TileSource
from playground.tiles.encoded import EncodedTiles, Fetched, told
from playground.tiles.image import TileImage
from playground.tiles.strip import StripName
from playground.tiles.strips import NO_IMAGERY, Strips, View


class Columns:
    """Used by many threads; they fetch side by side, and decode one after the other.

    Args:
        source: where tiles come from.
        encoded: fetches and shares them.
        strips: decode them.
        get: what gives a tile that the strips cannot.
    """

    def __init__(
        self,
        source: TileSource,
        encoded: EncodedTiles,
        strips: Strips,
        get: Callable[[mercantile.Tile, float | None], TileImage],
    ) -> None:
        self._source = source
        self._encoded = encoded
        self._strips = strips
        self._get = get
        self._lock = threading.Lock()

    @property
    def decodes(self) -> int:
        """Tiles decoded so far, and parts of tiles."""
        return self._strips.decodes

    def get_all(
        self, tiles: Iterable[mercantile.Tile], deadline: float | None
    ) -> dict[mercantile.Tile, TileImage | PlaygroundError]:
        """See ``TileEngine.get_all``."""
        strips: dict[StripName, list[mercantile.Tile]] = {}
        for tile in tiles:
            strips.setdefault(StripName.of(tile), []).append(tile)
        found: dict[mercantile.Tile, TileImage | PlaygroundError] = {}
        fetched: Fetched = {}
        if not self._source.local:
            with self._lock:
                lacking = {tile: None for item in strips.items() for tile in self._strips.lacking(*item)}
            fetched = self._encoded.fetch_many(lacking, deadline)
        for name, members in strips.items():
            with self._lock:
                if self._source.local:
                    fetched = self._encoded.fetch_many(self._strips.lacking(name, members), deadline)
                known = {tile: data for tile, data in fetched.items() if not isinstance(data, TileSourceError)}
                views = self._strips.read(name, members, known)
            for tile, view in zip(members, views, strict=True):
                found[tile] = self._image(tile, view, fetched, deadline)
        return found

    def _image(
        self, tile: mercantile.Tile, view: View | None, fetched: Fetched, deadline: float | None
    ) -> TileImage | PlaygroundError:
        if view is NO_IMAGERY:
            return self._encoded.no_imagery(tile)
        if view is not None:
            pixels = view.pixels
            return TileImage(
                tile=tile,
                url=self._source.url(tile),
                padding=self._strips.padding,
                size=view.size,
                missing=view.missing,
                outside=view.outside,
                centre=None,
                load_array=lambda: pixels,
                valid=view.valid,
            )
        return self._why_not(tile, fetched) or attempt(lambda: self._get(tile, deadline))

    def _why_not(self, tile: mercantile.Tile, fetched: Fetched) -> PlaygroundError | None:
        """What was learned while fetching; None if another way to the tile may be better."""
        for other in (tile, *neighbourhood(tile)):
            data = fetched.get(other, b"") if other is not None else b""
            if other is not None and isinstance(data, TileSourceError):
                return told(other, tile, data)
        return None


def attempt(get: Callable[[], TileImage]) -> TileImage | PlaygroundError:
    """What it gives, or the error that it raises."""
    try:
        return get()
    except PlaygroundError as error:
        return error


def checked(tile: mercantile.Tile) -> PlaygroundError | None:
    """Why there can be no such tile."""
    try:
        geo.check_tile(tile.z, tile.x, tile.y)
    except PlaygroundError as error:
        return error
    return None
