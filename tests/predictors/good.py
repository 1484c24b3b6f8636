"""Predictors that do nothing wrong, each in a way of its own."""

import numpy as np

from playground_interfaces import BaseProcess, PredictionResult
from playground_interfaces.masks import polygons_of_mask


class Contours(BaseProcess):
    """Bright things, outlined along pixel edges."""

    def __init__(self):
        self.threshold = 180

    def predict(self, tile):
        result = PredictionResult(tile)
        for exterior, holes in polygons_of_mask(self.bright(tile.array)):
            result.add_polygon("bright", exterior, holes, confidence=0.9)
        return result

    def bright(self, array):
        scale = 257 if array.dtype == np.uint16 else 1
        return array[:, :, :3].mean(axis=2) > self.threshold * scale

    def predict_batch(self, tiles):
        return [self.predict(tile) for tile in tiles]


class Boxes(Contours):
    """Bright things as boxes of pixel numbers: the first and the last column, the first and the last row."""

    def predict(self, tile):
        result = PredictionResult(tile)
        for exterior, _ in polygons_of_mask(self.bright(tile.array)):
            (left, top), (right, bottom) = np.min(exterior, axis=0), np.max(exterior, axis=0) - 1
            if right > left and bottom > top:
                result.add_box("bright", (left, top, right, bottom), 0.5)
        return result


class Points(Contours):
    """Bright things as points, from a FeatureCollection."""

    def predict(self, tile):
        features = []
        for exterior, _ in polygons_of_mask(self.bright(tile.array)):
            x, y = np.mean([np.min(exterior, axis=0), np.max(exterior, axis=0)], axis=0)
            geometry = {"type": "Point", "coordinates": [x, y]}
            features.append({"type": "Feature", "geometry": geometry, "properties": {"category": "bright"}})
        return {"type": "FeatureCollection", "features": features}
