"""Predictors that take several tiles at once; tiles say in their image what shall go wrong."""

import os
import re
import time

from playground_interfaces import PredictError, PredictionResult


def word(tile):
    """The first word after "tile" in the image: what is to be done; and the whole text."""
    found = re.search(rb"tile (\w+) ?(\w*)", bytes(tile.image))
    return (found.group(1).decode(), found.group(2).decode()) if found else ("warm", "")


class Labels(object):
    """Answers with the tile's own label, and with how many tiles it saw at once."""

    def predict(self, tile):
        return self.found(tile, 1)

    def predict_batch(self, tiles):
        time.sleep(0.01)
        results = [self.found(tile, len(tiles)) for tile in tiles]
        return results[1:] if "short" in [word(tile)[0] for tile in tiles] else results

    def found(self, tile, count):
        kind, label = word(tile)
        if kind == "crash":
            os._exit(3)
        if kind == "hang":
            time.sleep(10**6)
        if kind == "slow":
            time.sleep(1)
        if kind == "raise":
            raise ValueError("weights are corrupt")
        if kind == "refuse":
            if count == 1:
                raise PredictError("too cloudy", "send a clearer tile")
            return PredictError("too cloudy", "send a clearer tile")
        if kind == "error":
            return ValueError("only this one")
        if kind == "text":
            return "ship"
        result = PredictionResult(tile)
        result.add_point(label, (1, 2))
        result.list_results[0].properties.update(batch=count, pid=os.getpid())
        return result


class Once(object):
    """Returns one collection for all tiles, which is no list."""

    def predict(self, tile):
        return PredictionResult(tile)

    def predict_batch(self, tiles):
        return {"type": "FeatureCollection", "features": []}


class Slow(Labels):
    """Takes its time, and about the same for one tile and for several."""

    def predict(self, tile):
        time.sleep(0.05)
        return self.found(tile, 1)

    def predict_batch(self, tiles):
        time.sleep(0.05)
        return [self.found(tile, len(tiles)) for tile in tiles]
