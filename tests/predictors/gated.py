"""Blobs whose tiles come late, never, or at a price."""

import os
import signal
import time

from blobs import Blobs


class Gated(Blobs):
    """Tiles of the last column wait until the file that GATE names is there.

    No others: a worker hands over 64 tiles at once and tells of none before it has all. Whichever of two workers gets
    the last column, the other one has enough before it to tell of.
    """

    def predict(self, tile):
        while tile.x >= 111 and not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
        return Blobs.predict(self, tile)


class NeverLoads(Blobs):
    def __init__(self):
        while True:
            time.sleep(1)


class EndsItsParent(Blobs):
    """One tile takes down who asks."""

    def predict(self, tile):
        if (tile.x, tile.y) == (102, 101):
            os.kill(os.getppid(), signal.SIGKILL)
        return Blobs.predict(self, tile)


class LoadsLate(Blobs):
    def __init__(self):
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)


class OneLoads(Blobs):
    """Of all that are started, the first."""

    def __init__(self):
        try:
            os.close(os.open(os.environ["GATE"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            while True:
                time.sleep(1)
