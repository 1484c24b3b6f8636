"""A predictor that tells what it has seen; the first word of a tile's address says what it does."""

import os
import time

from playground_interfaces import PredictionResult


class Tells(object):
    def __init__(self):
        self.seen = []

    def predict(self, tile):
        does = tile.url.split(" ")[0]
        self.seen.append(tile.url)
        if does == "crash":
            os._exit(3)
        if does == "hang":
            time.sleep(10**6)
        if does == "slow":
            time.sleep(0.7)
        if does == "raise":
            raise ValueError("weights are corrupt")
        result = PredictionResult(tile)
        if does != "blind":
            result.add_point(bytes(tile.image).decode("utf-8")[:40], (1, 2))
            result.list_results[0].properties.update(pid=os.getpid(), seen=list(self.seen))
        return result
