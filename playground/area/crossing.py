"""Parts of objects that cross a tile's edges: what of them lies in the core, and what the tile knows of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import mercantile
import numpy as np
import shapely

from playground.area.clipping import clipped, clipped_once
from playground.area.edges import Edges
from playground.area.found import BoolArray, Found
from playground.area.parts import Part, are_boxes
from playground.area.world import UNITS
from playground.geo import FloatArray

BESIDE = 4.0
"""Units from an edge at which it is looked what lies along it, on this side and beyond."""


def parts_of(
    found: Found,
    chosen: BoolArray,
    tiles: Sequence[mercantile.Tile],
    missing: Sequence[Iterable[str]],
    margin: float,
) -> Iterator[tuple[int, Part | None]]:
    """(tile, part) of each feature that crosses an edge; None for one that has nothing in the core.

    Args:
        found: all features.
        chosen: which of them cross.
        tiles: of all images.
        missing: of each image, neighbours without imagery.
        margin: units of padding on each side.
    """
    bounds, images = found.bounds, found.images
    rings, features = found.rings(chosen)
    cut, done = clipped_once(rings, bounds[features])
    rings, others = rings.take(done), chosen.copy()
    others[features[done]] = False
    features = np.concatenate((features[done], np.flatnonzero(others)))
    shapes, own = found.shapes(others), np.empty(0, dtype=object)
    if len(shapes):
        own = clipped(shapes, found.areal[others])
        there = ~shapely.is_empty(own)
        for feature in features[len(rings) :][~there].tolist():
            yield int(images[feature]), None
        shapes, own = shapes[there], own[there]
        features = np.delete(features, len(rings) + np.flatnonzero(~there))
    if not len(features):
        return
    whole = np.all((bounds > -margin) & (bounds < UNITS + margin), axis=1)
    # A predictor that keeps to the core itself tells as little about beyond as one without padding.
    beside = np.all((bounds >= 0) & (bounds <= UNITS), axis=1)
    tells = np.bincount(images[~beside], minlength=len(tiles)) > 0 if margin else np.zeros(len(tiles), bool)
    blind = [{*without, *_off_the_map(tile)} for tile, without in zip(tiles, missing, strict=True)]
    boxes = np.concatenate((rings.are_boxes(bounds[features[: len(rings)]]), are_boxes(shapes)))
    for number in np.flatnonzero(boxes).tolist():
        unseen = blind[images[features[number]]]
        boxes[number] = not unseen or unseen.isdisjoint(_reached(bounds[features[number]]))
    inner, outer = Edges(rings, shapes).runs(-BESIDE, BESIDE)
    own_texts = cut.texts() + shapely.to_wkb(own).tolist()
    seen_texts = rings.texts() + shapely.to_wkb(shapes).tolist()
    of, properties = images[features], found.properties(features)
    columns = (
        of.tolist(),
        found.indices[features].tolist(),
        tells[of].tolist(),
        np.floor((bounds[features, :2] + bounds[features, 2:]) / 2 / UNITS).astype(int).tolist(),
        whole[features].tolist(),
        boxes.tolist(),
    )
    rows = list(zip(*columns, strict=True))
    for number in np.argsort(features).tolist():
        image, index, told, (column, row), ends, box = rows[number]
        yield (
            image,
            Part(
                index,
                own_texts[number],
                seen_texts[number],
                inner[number],
                outer[number] if told else None,
                (column, row),
                ends,
                box,
                properties[number],
            ),
        )


def _off_the_map(tile: mercantile.Tile) -> tuple[str, ...]:
    """The neighbours that no map has, beyond its top and bottom."""
    north = ("NW", "N", "NE") if tile.y == 0 else ()
    south = ("SW", "S", "SE") if tile.y == 2**tile.z - 1 else ()
    return north + south


def _reached(bounds: FloatArray) -> Iterator[str]:
    """The neighbours that bounds, in units, reach into."""
    west, north, east, south = bounds.tolist()
    rows = [name for name, reached in (("N", north < 0), ("", True), ("S", south > UNITS)) if reached]
    columns = [name for name, reached in (("W", west < 0), ("", True), ("E", east > UNITS)) if reached]
    yield from (row + column for row in rows for column in columns if row + column)
