"""Predictors that know where on earth a tile lies."""

import time

from playground_interfaces import PredictError, PredictionResult

STEP, SIDE = 64, 12


class Houses(object):
    """A house at every 64th pixel of the map, so also on the edges and corners of tiles: those wholly in the image."""

    def predict(self, tile):
        if (tile.x, tile.y) == (7, 1):
            raise PredictError("too cloudy", "send a clearer tile")
        result = PredictionResult(tile)
        around = 256 * 2**tile.z
        left, top = tile.x * 256 - tile.padding, tile.y * 256 - tile.padding
        side = 256 + 2 * tile.padding
        for row in range(-(-top // STEP) * STEP, top + side, STEP):
            for column in range(-(-left // STEP) * STEP, left + side, STEP):
                x, y = column - left - SIDE / 2, row - top - SIDE / 2
                if min(x, y) >= 0 and max(x, y) + SIDE <= side and 0 < row < around:
                    ring = [(x, y), (x, y + SIDE), (x + SIDE, y + SIDE), (x + SIDE, y)]
                    result.add_polygon("house", ring, column=column % around, row=row)
        return result


class Slow(object):
    """Takes its time for every tile."""

    def predict(self, tile):
        time.sleep(0.4)
        return PredictionResult(tile)


class Counts(object):
    """How many images this process was given."""

    def __init__(self):
        self.calls = 0

    def predict(self, tile):
        self.calls += 1
        data = bytes(tile.image)
        if data.endswith(b"slow"):
            time.sleep(0.4)
        if data.endswith(b"flaky") and self.calls % 2:
            raise ValueError("not this time")
        if data.endswith(b"cloudy"):
            raise PredictError("too cloudy, call {}".format(self.calls), "send a clearer tile")
        result = PredictionResult(tile)
        copies = 5000 if data.endswith(b"many") else 1
        for number in range(copies):
            result.add_polygon("thing", [(0, 0), (0, 8), (8, 8), (8, 0)], calls=self.calls, number=number)
        return result
