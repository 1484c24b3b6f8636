"""Outlines of what is bright, exact to the pixel; tiles that misbehave by name of the class."""

import os
import pathlib

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
