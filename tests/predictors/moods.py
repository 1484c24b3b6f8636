"""One predictor that does what the first pixel of the image says."""

import os
import time

from playground_interfaces import PredictError, PredictionResult


class Moods(object):
    def predict(self, tile):
        red, green, blue = (int(value) for value in tile.array[0, 0, :3])
        result = PredictionResult(tile)
        for number in range(red):
            result.add_result("ship", [(number, 0), (number, 8), (number + 8, 8), (number + 8, 0)], 0.5)
        if green == 1:
            raise PredictError("clouds", "send another")
        if green == 2:
            raise ValueError("a fault of the partner's")
        if green == 3:
            return None
        if blue == 1:
            os._exit(3)
        if blue == 2:
            time.sleep(60)
        return result
