"""A predictor that finds nothing at once: what remains is the way to it and back."""

from playground_interfaces import PredictionResult


class Nothing:
    def predict(self, tile):
        return PredictionResult(tile)


class Reads:
    """The same, but it reads the encoded image, as a real predictor does."""

    def predict(self, tile):
        if len(tile.image) < 1000:
            raise ValueError("no image")
        return PredictionResult(tile)


class ReadsPixels:
    """The same, but it reads the pixels."""

    def predict(self, tile):
        if tile.array.shape != (304, 304, 3):
            raise ValueError("not the tile")
        return PredictionResult(tile)
