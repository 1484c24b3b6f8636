"""Predictors that read the tile in the ways partners do."""

import io

from playground import PredictError, PredictionResult


def found(tile, category, **properties):
    result = PredictionResult(tile)
    result.add_polygon(category, [(0, 0), (0, 8), (8, 8), (8, 0)], **properties)
    return result


class Bytes(object):
    """Standard library only."""

    def predict(self, tile):
        assert isinstance(tile.image, bytearray)
        return found(
            tile,
            "bytes",
            length=len(tile.image),
            head=bytes(tile.image[:4]).hex(),
            z=tile.z,
            x=tile.x,
            y=tile.y,
            padding=tile.padding,
            bounds=tile.bounds,
            url=tile.url,
        )


class Pillow(object):
    def predict(self, tile):
        from PIL import Image

        image = Image.open(io.BytesIO(tile.image)).convert("RGB")
        return found(tile, "pillow", size=image.size, pixel=image.getpixel((1, 1)))


class OpenCV(object):
    def predict(self, tile):
        import cv2
        import numpy as np

        image = cv2.imdecode(np.asarray(tile.image, dtype=np.uint8), 1)
        return found(tile, "opencv", size=image.shape[1::-1], pixel=image[1, 1, ::-1])


class Array(object):
    def predict(self, tile):
        tile.array[0, 0] = 0  # it is the predictor's own copy
        return found(tile, "array", shape=tile.array.shape, pixel=tile.array[1, 1], valid=tile.valid.sum())


class Means(object):
    """Of several tiles at once, in arrays of its own."""

    def predict(self, tile):
        return found(tile, "mean", mean=float(tile.array.mean()))

    def predict_batch(self, tiles):
        results = [self.predict(tile) for tile in tiles]
        for tile in tiles:
            tile.array[:] = 255
        return results


class Collection(object):
    def predict(self, tile):
        feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": (1, float("nan"))}, "properties": {}}
        return {"type": "FeatureCollection", "features": [feature]}


class Refuses(object):
    def predict(self, tile):
        raise PredictError("too cloudy", "send a clearer tile")


class Nothing(object):
    def predict(self, tile):
        return None


class Environment(object):
    """Tells which keys the predictor sees."""

    def predict(self, tile):
        import os

        return found(tile, "environment", path=os.environ["PATH"], keys=os.environ.get("API_KEYS"))
