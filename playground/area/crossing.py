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
    middles = np.floor((bounds[:, :2] + bounds[:, 2:]) / 2 / UNITS).astype(int)
    boxes = [*rings.are_boxes(bounds[features[: len(rings)]]).tolist(), *are_boxes(shapes).tolist()]
    edges = Edges(rings, shapes)
    inner = edges.runs(-BESIDE)
    outer = edges.runs(BESIDE) if tells.any() else inner
    own_texts = cut.texts() + shapely.to_wkb(own).tolist()
    seen_texts = rings.texts() + shapely.to_wkb(shapes).tolist()
    for number in np.argsort(features).tolist():
        feature = int(features[number])
        image = int(images[feature])
        column, row = middles[feature].tolist()
        yield (
            image,
            Part(
                int(found.indices[feature]),
                own_texts[number],
                seen_texts[number],
                inner[number],
                outer[number] if tells[image] else None,
                (column, row),
                bool(whole[feature]),
                boxes[number] and (not blind[image] or blind[image].isdisjoint(_reached(bounds[feature]))),
                found.properties(feature),
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
