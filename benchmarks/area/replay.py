"""What a run's own process does for a tile: journal, seams, results. Nobody predicts: the outcomes are made before.

Prints milliseconds of a core for each tile, by format. Usage: replay.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bounds
import contours
import mercantile
import msgspec
import numpy as np
import world

from playground import answers
from playground.area import Area, AreaRun, Plan, outputs
from playground.area.cutting import cut_answers
from playground.area.outcome import Job, Outcome
from playground.formats import FORMATS

TOGETHER = 32
"""Tiles of a worker's message."""
ROUNDS = 3

Given = dict[tuple[int, int], tuple[bytes, int]]
"""By column and row: what a worker tells of a tile, and how many features it saw."""


class Replay:
    """Answers at once with what was made before; reading it counts, as a run reads what its workers send."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._jobs: list[Job] = []
        self._decode = msgspec.msgpack.Decoder(list[Outcome]).decode
        self.spent = 0.0
        """Seconds that only the replay takes."""

    def launch(self) -> None:
        """Nothing to do."""

    def start(self) -> None:
        """Nothing to wait for."""

    def room(self) -> int:
        return 4 * TOGETHER - len(self._jobs)

    def submit(self, jobs: list[Job]) -> None:
        self._jobs += jobs

    def collect(self, seconds: float) -> list[Outcome]:
        began = time.process_time()
        jobs, self._jobs = self._jobs[:TOGETHER], self._jobs[TOGETHER:]
        told = [(job, *self._given[job.x, job.y]) for job in jobs]
        message = msgspec.msgpack.encode([Outcome(job, "ok", pieces, features) for job, pieces, features in told])
        self.spent += time.process_time() - began
        return self._decode(message)

    def close(self) -> None:
        """Nothing to let go of."""


def make() -> Given:
    """What a worker gives of each tile of the benchmark's world."""
    pixels, size, padding = world.picture(), world.SIZE, bounds.PADDING
    given: Given = {}
    for tile in world.inside():
        left, top = ((at - first) * size - padding for at, first in zip(tile[:2], world.FIRST[:2], strict=True))
        side = size + 2 * padding
        seen = contours.outlines(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": contours.PROPERTIES,
            }
            for ring in contours.closed(seen)
        ]
        ((pieces, _),) = cut_answers([features], [tile], [()], size, padding, options=answers.Options())
        given[tile.x, tile.y] = (pieces.dumps(), len(features))
    return given


def run(given: Given, suffix: str) -> float:
    """Seconds of a core for all tiles."""
    area = Area(tiles=tuple(mercantile.Tile(x, y, world.ZOOM) for x, y in given))
    engine = Replay(given)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        done = AreaRun(Plan(area, world.ZOOM), lambda total: engine, Path(folder) / "journal")
        outputs.write(done.batches(), [f"{folder}/out{suffix}"])
        done.close(keep=False)
        took = time.process_time() - began - engine.spent
    assert done.report.whole
    return took


def main() -> None:
    given = make()
    for name in FORMATS:
        least = min(run(given, f".{name}") for _ in range(ROUNDS))
        print(f"{name}: {least / len(given) * 1000:.3f} ms of a core a tile")


if __name__ == "__main__":
    main()
