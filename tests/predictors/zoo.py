"""Predictors that misbehave on images that say "bad", each in the way of its name."""

import ctypes
import os
import re
import signal
import sys
import threading
import time

from playground_interfaces import PredictError, PredictionResult


class Good(object):
    def predict(self, tile):
        if b"bad" in tile.image:
            result = self.misbehave(tile)
            if result is not None:
                return result[0]
        return PredictionResult(tile)

    def misbehave(self, tile):
        return None


class Raises(Good):
    def misbehave(self, tile):
        raise ValueError("weights are corrupt")


class Rejects(Good):
    def misbehave(self, tile):
        raise PredictError("too cloudy", "send a clearer tile")


class SleepsForEver(Good):
    def misbehave(self, tile):
        time.sleep(10**6)


class SpinsHoldingTheGIL(Good):
    def misbehave(self, tile):
        re.match(r"(a+)+$", "a" * 60 + "b")  # one call into C that never lets go


class Segfaults(Good):
    def misbehave(self, tile):
        ctypes.string_at(0)


class IsKilled(Good):
    def misbehave(self, tile):
        os.kill(os.getpid(), signal.SIGKILL)


class ExitsAtOnce(Good):
    def misbehave(self, tile):
        os._exit(7)


class ExitsPolitely(Good):
    def misbehave(self, tile):
        sys.exit("good bye")


class PrintsTenMegabytes(Good):
    def misbehave(self, tile):
        print(("x" * 99 + "\n") * 100_000)


class ForksAndKeepsThePipes(Good):
    """The child outlives it, with the socket and both pipes open."""

    def misbehave(self, tile):
        if os.fork() == 0:
            time.sleep(10**6)
        os._exit(1)


class ChangesItsSurroundings(Good):
    def __init__(self):
        assert os.path.exists("zoo.py")

    def misbehave(self, tile):
        os.chdir("/")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def predict(self, tile):
        assert os.path.exists("zoo.py"), "not where it was started"
        return Good.predict(self, tile)


class LeaksFiftyMegabytesACall(Good):
    kept = []

    def misbehave(self, tile):
        self.kept.append(b"x" * 50 * 1024 * 1024)


class AllocatesBeyondTheLimit(Good):
    def misbehave(self, tile):
        kept = [b"x" * 100 * 1024 * 1024 for _ in range(12)]
        time.sleep(30)
        return len(kept)


class IsNotThreadSafe(Good):
    inside = threading.Lock()

    def predict(self, tile):
        assert self.inside.acquire(blocking=False), "entered twice"
        time.sleep(0.02)
        self.inside.release()
        return PredictionResult(tile)


class HangsInTheConstructor(Good):
    def __init__(self):
        print("loading weights …")
        time.sleep(10**6)


class CrashesAlways(Good):
    """But not on the grey tile of the warm-up."""

    def predict(self, tile):
        if tile.url != "warm-up":
            os._exit(1)
        return PredictionResult(tile)


class Returns(Good):
    """What the image says: one of each wrong type."""

    values = {
        b"none": None,
        b"list": [],
        b"text": "ship",
        b"number": 3,
        b"dictionary": {"features": []},
        b"class": PredictionResult,
        b"generator": (each for each in ()),
        b"bytes": b"ship",
    }

    def misbehave(self, tile):
        return (next(value for name, value in self.values.items() if b"bad " + name in tile.image),)
