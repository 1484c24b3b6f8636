"""A predictor that takes 20 ms a call and 1 ms a tile, and no processor: as a model on an accelerator does."""

import time

from playground_interfaces import PredictionResult

CALL, TILE = 0.020, 0.001


class Batched:
    def predict(self, tile):
        return self.predict_batch([tile])[0]

    def predict_batch(self, tiles):
        time.sleep(CALL + TILE * len(tiles))
        return [PredictionResult(tile) for tile in tiles]
