"""Predictors with one planted defect each, in the way of its name; without it they would be good."""

import io
import os
import random
import signal
import socket
import threading
import time

import numpy as np
from good import Contours

from playground_interfaces import PredictError, PredictionResult
from playground_interfaces.masks import polygons_of_mask


class Moved(Contours):
    """Coordinates that are moved."""

    def predict(self, tile):
        result = PredictionResult(tile)
        for exterior, holes in polygons_of_mask(self.bright(tile.array)):
            result.add_polygon("bright", self.move(exterior, tile), [self.move(hole, tile) for hole in holes])
        return result


class SwapsAxes(Moved):
    def move(self, ring, tile):
        return [(y, x) for x, y in ring]


class CountsFromTheBottom(Moved):
    def move(self, ring, tile):
        return [(x, tile.array.shape[0] - y) for x, y in ring]


class CountsFromTheTile(Moved):
    def move(self, ring, tile):
        return [(x - tile.padding, y - tile.padding) for x, y in ring]


class AddsThePadding(Moved):
    def move(self, ring, tile):
        return [(x + tile.padding, y + tile.padding) for x, y in ring]


class GivesModelPixels(Moved):
    """The model works on 512 pixels, and its coordinates are not scaled back."""

    def move(self, ring, tile):
        return [(x * 512 / tile.array.shape[1], y * 512 / tile.array.shape[0]) for x, y in ring]


class GivesPixelIndices(Moved):
    def move(self, ring, tile):
        height, width = tile.array.shape[:2]
        return [(min(x, width - 1), min(y, height - 1)) for x, y in ring]


class DropsAtRandom(Contours):
    def bright(self, array):
        bright = Contours.bright(self, array)
        bright[random.sample(range(len(bright)), len(bright) // 4)] = False
        return bright


class KeepsTheLastTile(Contours):
    last = ()

    def predict(self, tile):
        result = Contours.predict(self, tile)
        mine = list(result.list_results)
        result.list_results.extend(self.last if mine != self.last else ())
        self.last = mine
        return result


class CalibratesOnTheFirstTile(Contours):
    scale = None

    def bright(self, array):
        if self.scale is None:
            self.scale = array.mean()
        return array[:, :, :3].mean(axis=2) > 1.2 * self.scale


class MixesBatches(Contours):
    def predict_batch(self, tiles):
        return Contours.predict_batch(self, tiles)[::-1]


class Leaks(Contours):
    kept = []

    def predict(self, tile):
        self.kept.append(b"x" * 3 * 1024 * 1024)
        return Contours.predict(self, tile)


class StartsSlowly(Contours):
    def __init__(self):
        Contours.__init__(self)
        time.sleep(0.5)


class LoadsLate(Contours):
    loaded = False

    def predict(self, tile):
        if not self.loaded:
            time.sleep(1)
        self.loaded = True
        return Contours.predict(self, tile)


class IsSlow(Contours):
    def predict(self, tile):
        time.sleep(0.05)
        return Contours.predict(self, tile)


class GivesBowTies(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_result("tie", [(10, 10), (60, 60), (60, 10), (10, 60), (10, 10)])
        return result


class GivesLines(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_result("line", [(10, 10), (60, 60), (10, 10)])
        return result


class LeavesRingsOpen(Moved):
    def move(self, ring, tile):
        return ring[:-1]


class GivesEverythingTwice(Contours):
    def predict(self, tile):
        result = Contours.predict(self, tile)
        result.list_results *= 2
        return result


class GivesNaN(Moved):
    def move(self, ring, tile):
        return [(float("nan"), y) for x, y in ring]


class LosesGeometries(Contours):
    def predict(self, tile):
        return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"category": "a"}}]}


class IsSureBeyondMeasure(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_box("bright", (1, 1, 9, 9), 87)
        return result


class IsNotANumberSure(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_box("bright", (1, 1, 9, 9), float("nan"))
        return result


class NumbersItsClasses(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_box(3, (1, 1, 9, 9))
        return result


class HasNoCategories(Contours):
    def predict(self, tile):
        answer = Contours.predict(self, tile).format()
        for feature in answer["features"]:
            del feature["properties"]["category"]
        return answer


class ReturnsAList(Contours):
    def predict(self, tile):
        return Contours.predict(self, tile).list_results


class Raises(Contours):
    def predict(self, tile):
        return {}["weights"]


class RefusesEverything(Contours):
    def predict(self, tile):
        raise PredictError("too cloudy")


class CannotLoad(Contours):
    def __init__(self):
        raise ValueError("weights.h5 is not here")


class RaisesOnEmptyTiles(Contours):
    def predict(self, tile):
        result = Contours.predict(self, tile)
        return max([result], key=lambda result: max(len(ring) for _, ring, _ in result.list_results))


class RaisesOnGrey(Contours):
    def predict(self, tile):
        _red, _green, _blue = np.moveaxis(tile.array, 2, 0)
        return Contours.predict(self, tile)


class RaisesOnOddSizes(Contours):
    def predict(self, tile):
        height, width, bands = tile.array.shape
        tile.array.reshape(height // 2, 2, width // 2, 2, bands)
        return Contours.predict(self, tile)


class CrashesOnBrokenImages(Contours):
    def predict(self, tile):
        from PIL import Image

        try:
            tile.array = np.asarray(Image.open(io.BytesIO(tile.image)).convert("RGB"))
        except OSError:
            os._exit(1)
        return Contours.predict(self, tile)


class PaintsOverTheTile(Contours):
    def predict(self, tile):
        result = Contours.predict(self, tile)
        tile.array[:4] = 0
        return result


class PrintsFloods(Contours):
    def predict(self, tile):
        print("progress\n" * 2000)
        return Contours.predict(self, tile)


class GoesElsewhere(Contours):
    def predict(self, tile):
        os.chdir("/")
        return Contours.predict(self, tile)


class IgnoresSignals(Contours):
    def __init__(self):
        Contours.__init__(self)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


class LeavesThreads(Contours):
    def predict(self, tile):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return Contours.predict(self, tile)


class LeavesFilesOpen(Contours):
    files = []

    def predict(self, tile):
        self.files.append(os.open(__file__, os.O_RDONLY))
        return Contours.predict(self, tile)


class CallsHome(Contours):
    def predict(self, tile):
        with socket.socket() as home:
            home.setblocking(False)
            home.connect_ex(("192.0.2.1", 80))  # an address for documentation: nobody is there
        return Contours.predict(self, tile)


class NormalisesByTheTile(Contours):
    def bright(self, array):
        light = array[:, :, :3].mean(axis=2)
        return light > light.mean() + 0.5 * light.std()


class NeedsMorePadding(Contours):
    """Looks 40 pixels around itself."""

    def bright(self, array):
        light = np.pad(array[:, :, :3].mean(axis=2), 40, mode="edge").cumsum(axis=0).cumsum(axis=1)
        light = np.pad(light, ((1, 0), (1, 0)))
        mean = (light[81:, 81:] - light[:-81, 81:] - light[81:, :-81] + light[:-81, :-81])[:, :] / 81**2
        return mean > 110


class MissesWhatIsNearTheEdge(Contours):
    def predict(self, tile):
        result = Contours.predict(self, tile)
        kept, side = [], tile.array.shape[0]
        for one in result.list_results:
            if np.min(one[1]) > 12 and np.max(one[1]) < side - 12:
                kept.append(one)
        result.list_results = kept
        return result


class SeesTheLeftHalfOnly(Contours):
    def bright(self, array):
        bright = Contours.bright(self, array)
        bright[:, bright.shape[1] // 2 :] = False
        return bright


class LooksAtTheCoreOnly(Contours):
    def bright(self, array):
        bright = np.zeros(array.shape[:2], bool)
        core = slice(16, -16)
        bright[core, core] = Contours.bright(self, array[core, core])
        return bright


class GivesAVertexForEachPixel(Contours):
    def predict(self, tile):
        result = PredictionResult(tile)
        height, width = tile.array.shape[:2]
        for row in range(0, height, 8):
            ring = [(x / 3, row) for x in range(width * 3)]
            result.add_result("row", [*ring, (width, row + 1), (0, row + 1), (0, row)])
        return result
