"""Predictors that get several tiles of one caller; what shall go wrong with a tile stands in its address."""

import os
import signal
import time

from playground_interfaces import PredictError, PredictionResult


def found(tile, **properties):
    result = PredictionResult(tile)
    result.add_point("found", (1, 2), **properties)
    return result


class Obeys(object):
    """Does what the tile's address says, and reads nothing of it."""

    def predict(self, tile):
        word = tile.url.split()[0]
        return getattr(self, word, self.fine)(tile)

    def fine(self, tile):
        return found(tile, url=tile.url, pid=os.getpid(), folder=os.getcwd())

    def other(self, tile):
        return "ship"

    def raises(self, tile):
        raise KeyError("no such key")

    def rejects(self, tile):
        raise PredictError("too cloudy", "send a clearer tile")

    def segfaults(self, tile):
        os.kill(os.getpid(), signal.SIGSEGV)

    def exits(self, tile):
        os._exit(7)

    def hangs(self, tile):
        time.sleep(10**6)

    def slow(self, tile):
        time.sleep(0.15)
        return self.fine(tile)

    def prints(self, tile):
        print("this is " + tile.url)
        return self.fine(tile)

    def wanders(self, tile):
        os.chdir("/")
        return self.fine(tile)

    def leaks(self, tile):
        self.leaked = [*getattr(self, "leaked", []), b"x" * (50 * 2**20)]
        return self.fine(tile)


class Reads(object):
    """Tells what it sees of each part that the address names."""

    def predict(self, tile):
        told = {}
        for name in tile.url.split():
            value = getattr(tile, name)
            if name == "image":
                assert isinstance(value, bytearray)
                told[name] = [len(value), sum(value)]
            else:
                told[name] = [list(value.shape), str(value.dtype), int(value.sum())]
        return found(tile, **told)


class Keeps(object):
    """Keeps every tile and its array, writes to them, and tells whether they stayed as they were."""

    def __init__(self):
        self.kept = []

    def predict(self, tile):
        mean = float(tile.array.mean())
        same = all(array is other.array and (array == number).all() for number, array, other in self.kept)
        number = len(self.kept)
        tile.array[:] = number
        self.kept.append((number, tile.array, tile))
        return found(tile, mean=mean, same=same)


class KeepsViews(object):
    """Keeps a row of every array, as an array or as another view."""

    def __init__(self):
        self.kept = []

    def predict(self, tile):
        mean = float(tile.array.mean())
        tile.array[:] = len(self.kept) + 1
        same = all(view[0, 0] == number for number, view in enumerate(self.kept, 1))
        row = tile.array[3]
        self.kept.append(memoryview(row) if len(self.kept) % 2 else row[5:])
        return found(tile, mean=mean, same=bool(same))


class ReadsLater(object):
    """Reads a tile's array while the next one is predicted, if its address says so."""

    def __init__(self):
        self.later = []

    def predict(self, tile):
        means = [float(other.array.mean()) for other in self.later]
        if tile.url == "later":
            self.later.append(tile)
        else:
            self.later = []
            means.append(float(tile.array.mean()))
        return found(tile, means=means)
