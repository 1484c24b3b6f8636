"""A predictor that takes 100 ms and no processor."""

import time

from playground_interfaces import PredictionResult


class Sleeper:
    def predict(self, tile):
        time.sleep(0.1)
        return PredictionResult(tile)
