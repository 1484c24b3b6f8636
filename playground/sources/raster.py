"""Rasters: whatever GDAL reads, put on the tile grid by rio-tiler; GeoTIFFs on that grid by their own blocks."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mercantile
import numpy as np

from playground import imagery, mosaic
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources.base import PaddedPixels, SourceInfo, TileSource, name_of, without_secrets

try:
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rio_tiler.errors import RioTilerError, TileOutsideBounds
    from rio_tiler.io import Reader
except ImportError as error:
    raise SourceSettingsError(
        f"rasters need packages that are not installed ({error.name})", "pip install 'tile-playground[raster]'"
    ) from error

from playground.sources.raster_blocks import Blocks, open_blocks

if TYPE_CHECKING:
    from rio_tiler.models import ImageData

SIZE = 256
"""Pixels along a side of a tile."""
ERRORS = (RasterioError, RioTilerError, CPLE_BaseError, OSError, ValueError, MemoryError)
"""What GDAL's trouble looks like by the time it comes here."""
REMOTE_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no looking for sidecar files: each would be a request
    "GDAL_HTTP_CONNECTTIMEOUT": 5,
    "GDAL_HTTP_TIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": 5_000_000,
}


class RasterSource(TileSource):
    """A georeferenced image: the nearest pixels of the best overview; masks, alpha and nodata tell what is valid.

    Args:
        text: a path, or an address of http, https, s3 or gs, as rasterio opens it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._shown = without_secrets(text)
        self.local = "://" not in text
        self._path = str(Path(text).expanduser()) if self.local else text
        self._name = re.sub(r"\?.*", "", text).rpartition("/")[2]
        self._options: dict[str, Any] = {} if self.local else REMOTE_OPTIONS
        # A dataset is used by one thread at a time; who is done puts it back for the next.
        self._idle: deque[Reader] = deque()
        self._owner = os.getpid()
        self._closed = threading.Event()
        if self.local and not Path(self._path).is_file():
            raise SourceSettingsError(f"there is no file {text}", "give the path of an image that GDAL reads")
        try:
            with self._reader() as reader:
                self._info = self._read_info(reader)
            self._blocks: Blocks | None = open_blocks(self._path) if self.local else None
        except TileSourceError as error:
            raise SourceSettingsError(f"{self._shown} cannot be opened: {error.message}", error.hint) from error
        except ERRORS as error:
            raise SourceSettingsError(f"{self._shown} cannot be opened: {self._words(error)}") from error

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        if self._blocks is not None and self._blocks.holds(tile):
            return self._blocks.read(tile)
        pixels = self.read_padded(tile, 0, deadline).pixels
        if not imagery.can_encode(pixels):
            raise TileSourceError(
                f"{self._name} has {pixels.shape[2]} bands of {pixels.dtype}, which make no picture", "read tile.array"
            )
        return imagery.encode_png(pixels)

    def reads_padded(self, tile: mercantile.Tile, padding: int) -> bool:
        around = mosaic.neighbourhood(tile) if padding else (tile,)
        blocks = self._blocks
        return (
            blocks is None
            or not blocks.holds(tile)
            or not all(other is None or blocks.holds(other) or blocks.is_outside(other) for other in around)
        )

    def read_padded(self, tile: mercantile.Tile, padding: int, deadline: float | None = None) -> PaddedPixels:
        try:
            with self._reader() as reader:
                pixels, valid = self._read_wrapped(reader, tile, padding)
        except TileOutsideBounds:
            raise TileNotFoundError(f"{self._name} does not reach tile {name_of(tile)}") from None
        except TileSourceError:
            raise
        except ERRORS as error:
            raise TileSourceError(f"{self._name}, tile {name_of(tile)}: {self._words(error)}") from error
        core = slice(padding, padding + SIZE)
        if not valid[core, core].any():
            raise TileNotFoundError(f"{self._name} has no valid pixel in tile {name_of(tile)}")
        return PaddedPixels(pixels, valid)

    def url(self, tile: mercantile.Tile) -> str:
        return f"raster://{self._name}/{name_of(tile)}" if self.local else f"{self._shown}#{name_of(tile)}"

    def info(self) -> SourceInfo:
        return self._info

    def close(self) -> None:
        self._closed.set()
        while self._idle:
            self._idle.popleft().close()  # type: ignore[no-untyped-call]
        if self._blocks is not None:
            self._blocks.close()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Reader]:
        """A dataset that nobody else uses meanwhile, kept open for the next who asks."""
        if self._closed.is_set():
            raise TileSourceError(f"{self._shown}: the source was closed")
        if self._owner != os.getpid():  # after a fork: the file positions are shared with the other process
            self._owner, self._idle = os.getpid(), deque()
        # Without options, too: a dataset opened outside keeps an environment of its own, for the thread it began in.
        with rasterio.Env(**self._options):
            try:
                reader = self._idle.pop()
            except IndexError:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    reader = Reader(self._path)
            yield reader  # after an error it is not put back: who knows its state?
        if self._closed.is_set():
            reader.close()  # type: ignore[no-untyped-call]
        else:
            self._idle.append(reader)

    def _read_wrapped(self, reader: Reader, tile: mercantile.Tile, padding: int) -> tuple[imagery.Pixels, imagery.Mask]:
        """What rio-tiler reads, with what lies beyond the antimeridian, where it sees nothing."""
        pixels, valid = _pixels_of(_read(reader, tile, padding))
        last = 2**tile.z - 1
        far = padding + SIZE
        beyond = (  # the tile on the other side, the columns here, the same columns there
            (tile.x == 0, last, slice(0, padding), slice(SIZE, far)),
            (tile.x == last, 0, slice(far, None), slice(padding, 2 * padding)),
        )
        for wraps, x, here, there in beyond:
            if wraps and padding:
                with contextlib.suppress(TileOutsideBounds):
                    other, known = _pixels_of(_read(reader, mercantile.Tile(x, tile.y, tile.z), padding))
                    pixels[:, here], valid[:, here] = other[:, there], known[:, there]
        return pixels, valid

    def _read_info(self, reader: Reader) -> SourceInfo:
        dataset: Any = reader.dataset
        if dataset.crs is None:
            raise SourceSettingsError(f"{self._shown} says not where on Earth it is", "georeference it")
        if any("complex" in kind for kind in dataset.dtypes):
            raise SourceSettingsError(f"{self._shown} holds complex numbers", "predictors need real ones")
        west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
        return SourceInfo(
            name=dataset.tags().get("TIFFTAG_DOCUMENTNAME") or Path(self._name).stem,
            minzoom=reader.minzoom,
            maxzoom=reader.maxzoom,
            bounds=(west, south, east, north),
            attribution=dataset.tags().get("TIFFTAG_COPYRIGHT"),
        )

    def _words(self, error: BaseException) -> str:
        """GDAL's words, without the address, which may hold a key."""
        words = str(error) or type(error).__name__
        if not self.local:
            words = re.sub(r"(/vsi\w+/|\w+://)\S+", "the address", words.replace(self._text, self._shown))
        return " ".join(words.split())[:300]


def _read(reader: Reader, tile: mercantile.Tile, padding: int) -> ImageData:
    dataset: Any = reader.dataset
    crs = reader.tms.rasterio_crs
    if padding and dataset.crs != crs:  # as the other, but the raster's grid is looked up once and not twice
        if not reader.tile_exists(tile.x, tile.y, tile.z):
            raise TileOutsideBounds
        left, bottom, right, top = reader.tms.xy_bounds(tile)
        ring = (right - left) * padding / SIZE
        bounds = (left - ring, bottom - ring, right + ring, top + ring)
        side = SIZE + 2 * padding
        image = reader.part(bounds, dst_crs=crs, bounds_crs=crs, height=side, width=side)
    else:
        image = reader.tile(tile.x, tile.y, tile.z, tilesize=SIZE, buffer=padding or None)
    return image.apply_colormap(reader.colormap) if reader.colormap and image.count == 1 else image


def _pixels_of(image: ImageData) -> tuple[imagery.Pixels, imagery.Mask]:
    """(H, W, bands) of one's own, and (H, W) booleans: what rio-tiler's mask does not hide."""
    bands: imagery.Pixels = image.data
    pixels = np.empty((*bands.shape[1:], len(bands)), bands.dtype)
    for number, band in enumerate(bands):  # a quarter of the time of a copy of all at once
        pixels[..., number] = band
    mask = image.mask
    return pixels, mask != _least(mask.dtype)


def _least(kind: np.dtype[Any]) -> float | int:
    """The number by which rio-tiler's mask says: no imagery."""
    if kind.kind == "f":
        return float(np.finfo(kind).min)
    return 0 if kind.kind == "u" else int(np.iinfo(kind).min)
