"""What was found in the images of tiles, in units from each tile's corner, as tables of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
import orjson

from playground import answers
from playground.answers.shapes import exact_shapes
from playground.answers.table import POINTS, POLYGONS, Layer
from playground.area.rings import Rings
from playground.area.world import UNITS, Shapes, WorldFrame

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Found:
    """Features of several tiles, one behind the other.

    Args:
        placed: features, in pixels of the padded images; there are some.
        ends: by tile, how many features are of it and of those before.
        size: pixels along a tile's side.
        padding: pixels added on each side.

    Attributes:
        images: by feature, the tile whose image shows it.
        indices: by feature, its place among those of its tile.
        bounds: by feature, (west, north, east, south).
        areal: whether each is of polygons alone.
        loose: whether each is of points, or of several kinds.
    """

    def __init__(self, placed: answers.Placed, ends: Sequence[int], size: int, padding: int) -> None:
        self._placed = placed
        counts = np.diff(ends, prepend=0)
        self.images = np.repeat(np.arange(len(counts)), counts)
        self.indices = np.arange(len(self.images)) - np.repeat(np.asarray(ends) - counts, counts)
        # By place, the feature; those of which nothing is left are in no layer.
        self._features = np.searchsorted(placed.kept, placed.owners)
        unit = UNITS / size
        # Whole pixels stay where they are; others may be rounded, and what was valid be so no more.
        self._step = unit if UNITS % size == 0 else 0.0
        self._layers = [
            Layer(table.at(np.round((table.coords - padding) * unit)), places) for table, places in placed.layers
        ]
        count = len(self.images)
        self.bounds = np.tile([np.inf, np.inf, -np.inf, -np.inf], (count, 1))
        self.areal, self.loose = np.zeros(count, bool), np.zeros(count, bool)
        for table, places in self._layers:
            features, bounds = self._features[places], table.bounds()
            if placed.collections:
                np.minimum.at(self.bounds[:, :2], features, bounds[:, :2])
                np.maximum.at(self.bounds[:, 2:], features, bounds[:, 2:])
            else:
                self.bounds[features] = bounds
            self.areal[features] = table.kinds[0] in POLYGONS
            self.loose[features] = table.kinds[0] in POINTS
        mixed = np.isin(placed.kept, list(placed.collections)) if placed.collections else ~np.ones(count, bool)
        self.loose |= mixed
        self.areal &= ~mixed
        self._mixed = set(np.flatnonzero(mixed).tolist())

    def finished(
        self, chosen: BoolArray, tiles: Sequence[mercantile.Tile]
    ) -> tuple[IntArray, Iterable[bytes], Iterable[bytes]]:
        """(features, their GeoJSON geometries in degrees, their properties) as results have them, in order.

        Args:
            chosen: which features; those of which nothing is left on the grid of degrees are left out.
            tiles: of all images.
        """
        corners = np.array([(tile.x * UNITS, tile.y * UNITS) for tile in tiles], dtype=np.float64)
        layers = []
        for table, places in self._taken(chosen):
            corner = corners[self.images[self._features[places]]]
            layers.append(Layer(table.at(table.coords + np.repeat(corner, table.lengths, axis=0)), places))
        if not layers:
            return np.empty(0, np.int64), (), ()
        geometries = answers.place_again(layers, WorldFrame.of(tiles[0].z, self._step), len(self._features))
        owners = self._features.tolist()
        if self._mixed:
            told = answers.collected(owners, geometries, self._mixed)
        else:
            told = {owner: text for owner, text in zip(owners, geometries, strict=True) if text is not None}
        features = np.fromiter(told, np.int64, len(told))
        return features, told.values(), self._told(features)

    def _told(self, features: IntArray) -> Iterable[bytes]:
        """The properties of features, with ``confidence_max``."""
        owners = self._placed.kept[features]
        numbers = orjson.dumps(self._placed.confidences[owners], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        texts = list(map(self._placed.properties.__getitem__, owners.tolist()))
        made = {text: _with_most(text, number) for text, number in dict(zip(texts, numbers, strict=True)).items()}
        for place, owner in enumerate(owners.tolist() if self._placed.names else ()):
            if owner in self._placed.names:
                text = orjson.dumps(self.properties(features[place : place + 1])[0])
                texts[place] = text
                made[text] = _with_most(text, numbers[place])
        return map(made.__getitem__, texts)

    def properties(self, features: IntArray) -> list[dict[str, Any]]:
        """What is said about features; where the same is said of several, it is one dict."""
        owners = self._placed.kept[features].tolist()
        texts = list(map(self._placed.properties.__getitem__, owners))
        read = {text: orjson.loads(text) for text in set(texts)}
        properties = list(map(read.__getitem__, texts))
        for place, owner in enumerate(owners if self._placed.names else ()):
            if owner in self._placed.names:  # the predictor's own number means something in its tile only
                properties[place] = dict(properties[place])
                properties[place].setdefault("id", orjson.loads(self._placed.names[owner]))
        return properties

    def rings(self, chosen: BoolArray) -> tuple[Rings, IntArray]:
        """Those of some features that are polygons without holes, and which these are."""
        found, features = [], [np.empty(0, np.int64)]
        for table, places in self._taken(chosen):
            if table.kinds[0] in POLYGONS:
                plain = table.are(("Polygon",)) & table.single
                taken = table.take(plain)
                found.append(Rings(taken.coords, taken.positions))
                features.append(self._features[places[plain]])
        return Rings.joined(found), np.concatenate(features)

    def shapes(self, chosen: BoolArray) -> Shapes:
        """The geometries of features of one kind each, in their order."""
        shapes = np.empty(len(chosen), dtype=object)
        for table, places in self._taken(chosen):
            shapes[self._features[places]] = exact_shapes(table)
        return shapes[chosen]

    def _taken(self, chosen: BoolArray) -> Iterator[Layer]:
        """The layers of some features."""
        for table, places in self._layers:
            mask = chosen[self._features[places]]
            if mask.any():
                yield Layer(table.take(mask), places[mask])


def _with_most(properties: bytes, confidence: bytes) -> bytes:
    """Properties with ``confidence_max``: their confidence, unless there is one."""
    if b'"confidence_max":' in properties and "confidence_max" in orjson.loads(properties):
        return properties
    return b'%b,"confidence_max":%b}' % (properties[:-1], confidence)
