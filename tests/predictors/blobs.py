"""Outlines of what is bright, exact to the pixel; tiles that misbehave by name of the class."""

import os
import pathlib
import time

import geojson
import rasterio.features

from playground_interfaces import PredictError


class Blobs(object):
    connectivity = 4

    def predict(self, tile):
        mask = (tile.array[..., 0] > 127).astype("uint8")
        found = rasterio.features.shapes(mask, mask=mask.astype(bool), connectivity=self.connectivity)
        properties = {"category": "blob", "confidence": 0.75}
        return geojson.FeatureCollection([geojson.Feature(geometry=shape, properties=properties) for shape, _ in found])


class Slow(Blobs):
    """Takes its time, so that there is some to interrupt it."""

    def predict(self, tile):
        time.sleep(0.02)
        return Blobs.predict(self, tile)


class Clouds(Blobs):
    """Will not speak of every seventh tile."""

    def predict(self, tile):
        if (tile.x + 3 * tile.y) % 7 == 0:
            raise PredictError("clouds")
        return Blobs.predict(self, tile)


class SomeDie(Blobs):
    """One tile in 37 ends the process the first time, one in 53 is refused, one ends it always."""

    def predict(self, tile):
        number = tile.x * 31 + tile.y
        mark = pathlib.Path("died-{}-{}".format(tile.x, tile.y))
        if number % 37 == 0 and not mark.exists():
            mark.touch()
            os._exit(3)
        if number % 53 == 0:
            raise PredictError("clouds")
        if number == 31 * 100 + 102:
            os._exit(4)
        return Blobs.predict(self, tile)


class Twice(Blobs):
    """Tells of everything twice, the second time as a box and surer."""

    def predict(self, tile):
        found = Blobs.predict(self, tile)
        for feature in list(found["features"]):
            positions = feature["geometry"]["coordinates"][0]
            west, north = map(min, zip(*positions))
            east, south = map(max, zip(*positions))
            ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
            properties = {"category": "blob", "confidence": 0.9}
            box = geojson.Feature(geometry=geojson.Polygon([ring]), properties=properties)
            found["features"].append(box)
        return found
