"""A predictor whose model is 300 MB, all of which it reads for every tile."""

import array

from playground_interfaces import PredictionResult

MEGABYTES = 300


class Large:
    def __init__(self):
        self.weights = array.array("d", bytes(MEGABYTES * 2**20))
        for index in range(0, len(self.weights), 512):  # each page holds something
            self.weights[index] = index

    def predict(self, tile):
        total = sum(self.weights[::4096]) + sum(self.weights[2048::4096])
        result = PredictionResult(tile)
        result.add_point(f"{total:.0f}", (0, 0))
        return result
