"""Predictors with a model of many bytes, for workers that share it."""

import os
import threading
import time

from playground_interfaces import PredictionResult


class Model(object):
    """60 MB; tells which process answers, and which one loaded."""

    def __init__(self):
        print("loading 60 MB")
        self.weights = b"w" * 60 * 2**20
        self.loaded_by = os.getpid()

    def predict(self, tile):
        if b"bad" in tile.image:
            os._exit(7)
        result = PredictionResult(tile)
        result.add_point(chr(self.weights[-1]), (1, 2))
        result.list_results[0].properties.update(pid=os.getpid(), parent=os.getppid(), loaded_by=self.loaded_by)
        return result


class StartsAThread(Model):
    def __init__(self):
        threading.Thread(target=time.sleep, args=(10**6,), name="prefetch", daemon=True).start()


class LoadsSlowly(Model):
    def __init__(self):
        print("loading in %d" % os.getpid())
        time.sleep(1)
        Model.__init__(self)


class CannotLoad(Model):
    def __init__(self):
        print("looking for weights")
        raise ValueError("weights.h5 is not here")


class CrashesLoading(Model):
    def __init__(self):
        os._exit(9)


class UsesNumpy(Model):
    def __init__(self):
        import numpy

        self.weights = b"w"
        self.loaded_by = os.getpid()
        self.matrix = numpy.ones((300, 300))
        assert (self.matrix @ self.matrix)[0, 0] == 300

    def predict(self, tile):
        assert (self.matrix @ self.matrix)[0, 0] == 300
        return Model.predict(self, tile)


class PrintsAndStartsHelpers(Model):
    def __init__(self):
        Model.__init__(self)
        if os.fork() == 0:
            time.sleep(10**6)

    def predict(self, tile):
        print("predicting")
        return Model.predict(self, tile)
