"""Fields of shapes for seam tests: a world of pixels, tiles of it, and the objects that a perfect predictor sees."""

from __future__ import annotations

from collections.abc import Iterator

import mercantile
import numpy as np
import shapely
from scipy import ndimage

from playground import answers
from playground.area.cover import in_order
from playground.area.parts import Pieces, cut
from playground.area.seams import Merge, Seams

CROSS = ndimage.generate_binary_structure(2, 1)


def outlines(mask: np.ndarray, structure: np.ndarray = CROSS) -> list[dict]:
    """The objects of a mask as features with pixel-exact outlines, holes included."""
    labels, count = ndimage.label(mask, structure)
    features = []
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        part = labels[window] == label
        rows, columns = np.nonzero(part)
        rows, columns = rows + window[0].start, columns + window[1].start
        shape = shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))
        properties = {"category": "thing", "confidence": 0.5 + 0.5 / (1 + part.sum())}
        features.append({"type": "Feature", "geometry": shape.__geo_interface__, "properties": properties})
    assert len(features) == count
    return features


def pieces_of(world: np.ndarray, tile: mercantile.Tile, size: int, padding: int, structure=CROSS) -> Pieces:
    """What one tile of a world gives; beyond the world there is nothing."""
    padded = np.pad(world, padding)
    window = padded[tile.y * size :, tile.x * size :][: size + 2 * padding, : size + 2 * padding]
    answer = answers.normalize(outlines(window, structure), answers.Frame(None, window.shape[0], padding))
    return Pieces.loads(cut(answer.features(), tile, size, padding).dumps())


def stitched(world: np.ndarray, size: int, padding: int, merge: Merge = "union", structure=CROSS) -> list[dict]:
    """The objects of a world, seen tile by tile. The world is square, a power of two of tiles to a side."""
    count = world.shape[0] // size
    zoom = int(np.log2(count))
    assert count == 2**zoom
    tiles = [(x, y) for x in range(count) for y in range(count)]
    seams = Seams(zoom, merge)

    def sweep() -> Iterator[dict]:
        for band in in_order(np.array(tiles)):
            for x, y in band.tolist():
                tile = mercantile.Tile(x, y, zoom)
                yield from seams.add(tile, pieces_of(world, tile, size, padding, structure), set(tiles))
                yield from seams.take()
        yield from seams.take(all_of_them=True)

    found = list(sweep())
    assert seams.kept == 0
    return found


def as_one(world: np.ndarray, size: int, structure=CROSS) -> list[dict]:
    """The objects of a world seen as one image, in degrees."""
    frame = answers.Frame(mercantile.Tile(0, 0, 0), world.shape[0], 0)
    return answers.normalize(outlines(world, structure), frame).features()


def assert_same(found: list[dict], wanted: list[dict], least: float = 0.999) -> float:
    """Every object once, and the least intersection over union of any."""
    assert len(found) == len(wanted)
    ours = np.array([shapely.geometry.shape(feature["geometry"]) for feature in found])
    theirs = np.array([shapely.geometry.shape(feature["geometry"]) for feature in wanted])
    assert shapely.is_valid(ours).all()
    tree = shapely.STRtree(theirs)
    worst = 1.0
    partners = set()
    for shape in ours:
        near = tree.query(shape)
        scores = shapely.area(shapely.intersection(theirs[near], shape)) / shapely.area(shapely.union(theirs[near], shape))
        worst = min(worst, scores.max())
        partners.add(int(near[scores.argmax()]))
    assert len(partners) == len(wanted)
    assert worst >= least
    return worst
