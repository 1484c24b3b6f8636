"""Predictors that misbehave, each in the way of its name."""

import os
import signal
import sys
import time

from playground_interfaces import PredictionResult


class Raises(object):
    def predict(self, tile):
        return {}["no such key"]


class Exits(object):
    def predict(self, tile):
        sys.exit(3)


class Segfaults(object):
    """Only on tiles whose address says so."""

    def predict(self, tile):
        if "segfault" in tile.url:
            os.kill(os.getpid(), signal.SIGSEGV)
        return PredictionResult(tile)


class Sleeps(object):
    def predict(self, tile):
        while "sleep" in tile.url:
            time.sleep(1)
        return PredictionResult(tile)


class Prints(object):
    def predict(self, tile):
        print("one\ntwo\n" + "x" * 10 * 1024 * 1024)
        sys.stderr.buffer.write(b"no newline at the end \xff")
        sys.stderr.flush()
        return PredictionResult(tile)


class ExitsInConstructor(object):
    def __init__(self):
        sys.exit("no licence")


class RaisesInConstructor(object):
    def __init__(self):
        self.load()

    def load(self):
        raise ValueError("weights.h5 is not here")


class SegfaultsInConstructor(object):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class NoPredict(object):
    pass


class Slow(object):
    """Takes its time."""

    def predict(self, tile):
        time.sleep(0.3)
        return PredictionResult(tile)
