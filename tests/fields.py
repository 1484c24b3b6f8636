"""Fields of shapes for seam tests: a world of pixels, tiles of it, and the objects that a perfect predictor sees."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import mercantile
import numpy as np
import rasterio.features
import shapely
from PIL import Image
from scipy import ndimage

from playground import answers
from playground.area.cover import in_order
from playground.area.cutting import cut
from playground.area.parts import Pieces
from playground.area.seams import Merge, Seams
from playground.sources.mbtiles import write_mbtiles


def smooth(seed: int, side: int, grain: float, level: float) -> np.ndarray:
    """A random field, thresholded: blobs about ``grain`` pixels in size; it goes on around the globe."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    field = ndimage.gaussian_filter(noise, grain, mode="wrap")
    return field > level * field.std()


def outlines(mask: np.ndarray, connectivity: int = 4) -> list[dict]:
    """The objects of a mask as features with pixel-exact outlines, holes included."""
    shapes = rasterio.features.shapes(mask.astype("uint8"), mask=mask, connectivity=connectivity)
    properties = {"category": "thing", "confidence": 0.75}
    return [{"type": "Feature", "geometry": shape, "properties": properties} for shape, _ in shapes]


def pieces_of(world: np.ndarray, tile: mercantile.Tile, size: int, padding: int, connectivity: int = 4) -> Pieces:
    """What one tile of a world gives; the world goes on around the globe, and ends north and south."""
    padded = np.pad(np.pad(world, ((0, 0), (padding, padding)), mode="wrap"), ((padding, padding), (0, 0)))
    window = padded[tile.y * size :, tile.x * size :][: size + 2 * padding, : size + 2 * padding]
    answer = answers.normalize(outlines(window, connectivity), answers.Frame(None, window.shape[0], padding))
    return Pieces.loads(cut(answer.features(), tile, size, padding).dumps())


def stitched(world: np.ndarray, size: int, padding: int, merge: Merge = "union", connectivity: int = 4) -> list[dict]:
    """The objects of a world, seen tile by tile. The world is square, a power of two of tiles to a side."""
    count = world.shape[0] // size
    zoom = int(np.log2(count))
    assert count == 2**zoom
    tiles = {(x, y) for x in range(count) for y in range(count)}
    seams = Seams(zoom, merge)

    def sweep() -> Iterator[dict]:
        for band in in_order(np.array(sorted(tiles))):
            for x, y in band.tolist():
                tile = mercantile.Tile(x, y, zoom)
                seams.add(tile, pieces_of(world, tile, size, padding, connectivity), tiles)
                yield from seams.take()
        yield from seams.take(all_of_them=True)

    found = list(sweep())
    assert seams.kept == 0
    return found


def as_one(world: np.ndarray, connectivity: int = 4) -> list[dict]:
    """The objects of a world seen as one image, in degrees."""
    frame = answers.Frame(mercantile.Tile(0, 0, 0), world.shape[0], 0)
    return answers.normalize(outlines(world, connectivity), frame).features()


def assert_same(found: list[dict], wanted: list[dict], least: float = 0.999) -> float:
    """Every object once, and the least intersection over union of any."""
    assert len(found) == len(wanted)
    ours = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in found])
    theirs = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in wanted])
    assert shapely.is_valid(ours).all()
    assert len({feature["id"] for feature in found}) == len(found)
    tree = shapely.STRtree(theirs)
    worst = 1.0
    partners = set()
    for shape in ours:
        near = tree.query(shape)
        both = shapely.area(shapely.intersection(theirs[near], shape))
        scores = both / shapely.area(shapely.union(theirs[near], shape))
        worst = min(worst, float(scores.max()))
        partners.add(int(near[scores.argmax()]))
    assert len(partners) == len(wanted)
    assert worst >= least
    return worst


def write_world(path: Path, world: np.ndarray, size: int, corner: mercantile.Tile) -> None:
    """A world as an MBTiles file whose first tile is ``corner``."""

    def tiles() -> Iterator[tuple[mercantile.Tile, bytes]]:
        for y in range(world.shape[0] // size):
            for x in range(world.shape[1] // size):
                part = world[y * size : (y + 1) * size, x * size : (x + 1) * size]
                buffer = io.BytesIO()
                Image.fromarray(part.astype("uint8") * 255).save(buffer, "PNG", compress_level=1)
                yield mercantile.Tile(corner.x + x, corner.y + y, corner.z), buffer.getvalue()

    zoom = str(corner.z)
    write_mbtiles(path, {"name": "field", "format": "png", "minzoom": zoom, "maxzoom": zoom}, tiles())
