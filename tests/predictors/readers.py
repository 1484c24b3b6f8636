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


class Pairs(object):
    """Several images and what is said of them, with the standard library only."""

    def predict(self, tile):
        lengths = [len(each.image) for each in tile.tiles]
        return found(tile, "pairs", lengths=lengths, metadata=tile.metadata, resolutions=tile.tiles[-1].resolution)


class Images(object):
    """Tells what it is given of a request for several images; an image of one colour, 66, is too much for it."""

    def predict(self, tile):
        if tile.array[0, 0, 0] == 66:
            raise PredictError("too red")
        pixels = [each.array[1, 1].tolist() for each in reversed(tile.tiles)]
        return found(
            tile,
            "images",
            images=len(tile.tiles),
            first=tile.tiles[0] is tile,
            pixels=pixels[::-1],
            heads=[bytes(each.image[1:4]).decode() for each in tile.tiles],
            metadata=tile.metadata,
            resolution=tile.resolution,
            padding=tile.padding,
            valid=int(tile.valid.sum()),
        )


class Environment(object):
    """Tells which keys the predictor sees."""

    def predict(self, tile):
        import os

        return found(tile, "environment", path=os.environ["PATH"], keys=os.environ.get("API_KEYS"))
