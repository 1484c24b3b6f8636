"""One tile and its padding: pixels with their frame."""

from __future__ import annotations

import threading
from collections.abc import Callable

import mercantile

from playground import imagery, mosaic
from playground.errors import TileSourceError
from playground.imagery import Mask, Pixels
from playground.mosaic import PLACES
from playground.sources.base import name_of


class TileImage:
    """One tile and its padding: pixels with their frame. Made by TileEngine; safe to use from many threads.

    Attributes:
        tile: x, y, z.
        url: the address of the tile, without secrets.
        padding: pixels added on each side.
        size: pixels along a side of the tile without its padding.
        missing: which of the neighbours that the padding touches have no imagery, of NW N NE W E SW S SE.
        outside: which of them lie beyond the map's top or bottom, where there never is any.
    """

    def __init__(
        self,
        *,
        tile: mercantile.Tile,
        url: str,
        padding: int,
        size: int,
        missing: tuple[str, ...],
        outside: tuple[str, ...],
        centre: bytes | None,
        load_array: Callable[[], Pixels],
        valid: Mask | None = None,
    ) -> None:
        self.tile = tile
        self.url = url
        self.padding = padding
        self.size = size
        self.missing = missing
        self.outside = outside
        self._load_array = load_array
        self._lock = threading.RLock()
        self._array: Pixels | None = None
        self._valid = valid
        self._encoded = centre if padding == 0 else None

    def array(self) -> Pixels:
        """The padded image, (size + 2 * padding, size + 2 * padding, bands), read-only, decoded when first asked for.

        Raises:
            TileSourceError: the tile or a neighbour cannot be decoded.
        """
        with self._lock:
            if self._array is None:
                self._array = self._load_array()
                self._array.flags.writeable = False
            return self._array

    def valid(self) -> Mask:
        """Booleans over the padded image, read-only: False where there is no imagery."""
        with self._lock:
            if self._valid is None:
                absent = self.missing + self.outside
                self._valid = mosaic.valid_pixels([place not in absent for place in PLACES], self.size, self.padding)
                self._valid.flags.writeable = False
            return self._valid

    def encoded(self) -> bytes:
        """The padded image as a file: without padding the very bytes that were fetched, else a PNG.

        Raises:
            TileSourceError: the tile or a neighbour cannot be decoded.
        """
        with self._lock:
            if self._encoded is None:
                pixels = self.array()
                if not imagery.can_encode(pixels):
                    what = f"{pixels.shape[2]} bands of {pixels.dtype}"
                    raise TileSourceError(
                        f"tile {name_of(self.tile)} has {what}, which make no picture",
                        "read tile.array, not tile.image",
                    )
                self._encoded = imagery.encode_png(pixels)
            return self._encoded
