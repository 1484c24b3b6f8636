"""Encoded tiles to padded images: what is decoded, by whom, and what is kept of it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import cachetools
import mercantile
import numpy as np

from playground import imagery, mosaic
from playground.errors import ImageError, TileSourceError
from playground.imagery import Pixels
from playground.mosaic import Fill
from playground.sharing import SharedCache
from playground.sources.base import name_of
from playground.tiles.parts import Scratch, bands_of_jpeg, decode_rows


class Assembler:
    """Decodes tiles and joins them. Used by many threads.

    Args:
        padding: pixels on each side.
        fill: what stands in for imagery that is missing, see ``mosaic.stitch``.
        cache_pixels: decoded pixels kept; 3 bytes each for RGB.
    """

    def __init__(self, padding: int, fill: Fill, cache_pixels: int) -> None:
        self._padding = padding
        self._fill: Fill = fill
        # By the bytes themselves: equal tiles (open sea) are decoded once, and an image is never older than its bytes.
        self._decoded: SharedCache[bytes, Pixels] = SharedCache(
            cachetools.LRUCache(cache_pixels, getsizeof=lambda pixels: pixels.shape[0] * pixels.shape[1])
        )
        self._scratch = Scratch()
        self._parts = 0
        self._lock = threading.Lock()
        self._helpers = min(4, os.cpu_count() or 1) - 1
        self._pool = ThreadPoolExecutor(max(1, self._helpers), thread_name_prefix="decode")

    @property
    def decodes(self) -> int:
        """Tiles and parts of tiles decoded so far."""
        return self._decoded.made + self._parts

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(
        self,
        centre: mercantile.Tile,
        around: Sequence[mercantile.Tile | None],
        encoded: Mapping[mercantile.Tile, bytes],
        *,
        alone: bool,
    ) -> Pixels:
        """A padded image.

        Args:
            centre: the tile.
            around: the nine tiles in the order of ``mosaic.PLACES``, None beyond the map and where nothing is touched.
            encoded: those with imagery, the centre among them; headers and sizes were checked.
            alone: whether no neighbour is likely to be asked for soon. Then only what is seen is decoded, and nothing
                is kept; else whole tiles are, once for all who need them.

        Raises:
            TileSourceError: one cannot be decoded, or they do not fit together.
        """
        pixels = self._join_parts(around, encoded) if alone and self._padding else None
        return self._join_wholes(centre, around, encoded) if pixels is None else pixels

    def _join_parts(
        self, around: Sequence[mercantile.Tile | None], encoded: Mapping[mercantile.Tile, bytes]
    ) -> Pixels | None:
        """The image, decoded no further than it shows; None if the tiles are not all JPEGs of one kind."""
        files = [encoded.get(tile) if tile else None for tile in around]
        present = [data is not None for data in files]
        kinds = {(bands_of_jpeg(data), imagery.image_size(data)) for data in encoded.values()}
        (bands, (size, _)) = next(iter(kinds))
        if len(kinds) > 1 or bands is None or sum(present) != len(encoded):  # at zoom 0 and 1 a tile is seen twice
            return None
        into, of = mosaic.spans(size, self._padding)
        side = size + 2 * self._padding
        whole = all(present) or self._fill != "nodata"
        out = (np.empty if whole else np.zeros)((side, side, bands), np.uint8)
        failed = []

        def draw(place: int, data: bytes) -> None:
            row, column = divmod(place, 3)
            pixels = decode_rows(data, bands, size, of[row].stop, self._scratch)
            if pixels is None:
                failed.append(place)
            else:
                out[into[row], into[column]] = pixels[of[row], of[column]]

        jobs = [partial(draw, place, data) for place, data in enumerate(files) if data is not None]
        self._together(jobs)
        if failed:
            return None
        with self._lock:
            self._parts += len(jobs)
        mosaic.fill_missing(out, present, self._padding, self._fill)
        return out

    def _join_wholes(
        self,
        centre: mercantile.Tile,
        around: Sequence[mercantile.Tile | None],
        encoded: Mapping[mercantile.Tile, bytes],
    ) -> Pixels:
        decoded = self._decode_all(encoded)
        size, _, bands = decoded[centre].shape
        for tile, pixels in decoded.items():
            if pixels.dtype != decoded[centre].dtype:
                raise TileSourceError(
                    f"tile {name_of(centre)} is {decoded[centre].dtype}, its neighbour {name_of(tile)} {pixels.dtype}",
                    "8 and 16 bits cannot be joined without knowing their range",
                )
            if pixels.shape != (size, size, bands):
                decoded[tile] = imagery.convert(pixels, size, bands)
        return mosaic.stitch([decoded.get(tile) if tile else None for tile in around], self._padding, self._fill)

    def _decode_all(self, encoded: Mapping[mercantile.Tile, bytes]) -> dict[mercantile.Tile, Pixels]:
        new = [(tile, data) for tile, data in encoded.items() if not self._decoded.holds(data)]
        decoded: dict[mercantile.Tile, Pixels] = {}

        def decode(tile: mercantile.Tile, data: bytes) -> None:
            decoded[tile] = self._decode(tile, data)

        if len(new) > 2:
            self._together([partial(decode, *item) for item in new])
        return {tile: decoded[tile] if tile in decoded else self._decode(tile, data) for tile, data in encoded.items()}

    def _decode(self, tile: mercantile.Tile, data: bytes) -> Pixels:
        def decode() -> Pixels:
            pixels = imagery.decode(data)
            pixels.flags.writeable = False  # shared from here on
            return pixels

        try:
            return self._decoded.get(data, decode)
        except ImageError as error:
            raise TileSourceError(f"tile {name_of(tile)}: {error.message}", error.hint) from error

    def _together(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Do the jobs in this thread and, as long as there are more, in those that are free meanwhile.

        libjpeg-turbo lets go of the interpreter while it works.
        """
        waiting = deque(jobs)

        def work() -> None:
            while waiting:
                try:
                    job = waiting.popleft()
                except IndexError:
                    return
                job()

        helping: list[Future[None]] = []
        try:
            helping = [self._pool.submit(work) for _ in range(min(self._helpers, len(waiting) - 1))]
        except RuntimeError:
            pass  # the pool is shut down: this thread does it all
        work()
        for helper in helping:
            if not helper.cancel():
                helper.result()
