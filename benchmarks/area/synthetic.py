"""A run over so many tiles of a predictor that is not there, to see what memory the rest takes.

Prints tiles, objects, seconds and megabytes as JSON. Usage: synthetic.py TILES OBJECTS_A_TILE [SUPPRESS]
"""

from __future__ import annotations

import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path

import mercantile
import numpy as np
import shapely

from playground.area import Area, AreaRun, Plan
from playground.area.cutting import Seen, cut_all
from playground.area.outcome import Job, Outcome
from playground.area.suppression import suppression_named

ZOOM, SIZE, PADDING = 16, 256, 24
CORNERS = 24
TOGETHER = 32


class Drawn:
    """Draws rings: one over the eastern edge of each tile, which the neighbour shows, too, the others inside."""

    def __init__(self, objects: int) -> None:
        chance = np.random.default_rng(1)
        inside = chance.uniform(40, SIZE - 40, (objects - 1, 2)).round(1).tolist()
        # The western neighbour's object over the common edge, as this tile sees it, belongs to both.
        self._middles = [(SIZE, 128.0), (0.0, 128.0), *inside]
        self._jobs: list[Job] = []

    def launch(self) -> None:
        turns = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False)
        ring = np.column_stack((np.cos(turns), np.sin(turns))) * 20
        self._features = []
        for middle in self._middles:
            positions = (ring + np.array(middle) + PADDING).round(2).tolist()
            geometry = {"type": "Polygon", "coordinates": [[*positions, positions[0]]]}
            properties = {"category": "ring", "categories": ["ring"], "confidence": 0.9, "score": 0.9}
            self._features.append({"type": "Feature", "geometry": geometry, "properties": properties})

    def start(self) -> None:
        """Nothing to wait for."""

    def room(self) -> int:
        return TOGETHER - len(self._jobs)

    def submit(self, jobs: list[Job]) -> None:
        self._jobs += jobs

    def collect(self, seconds: float) -> list[Outcome]:
        jobs, self._jobs = self._jobs, []
        seen = [Seen(mercantile.Tile(job.x, job.y, ZOOM), self._features) for job in jobs]
        cuts = cut_all(seen, SIZE, PADDING)
        return [Outcome(job, "ok", pieces.dumps(), len(self._features)) for job, pieces in zip(jobs, cuts, strict=True)]

    def close(self) -> None:
        """Nothing to let go of."""


def main(count: str, objects: str, suppress: str = "none") -> None:
    side = math.isqrt(int(count))
    rows = int(count) // side
    first = mercantile.Tile(30000, 20000, ZOOM)
    west, _, _, north = mercantile.bounds(first)
    _, south, east, _ = mercantile.bounds(first.x + side - 1, first.y + rows - 1, ZOOM)
    margin = 1e-7
    area = Area(shapely.box(west + margin, south + margin, east - margin, north - margin))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(area, ZOOM, suppression=suppression_named(suppress))
        run = AreaRun(plan, lambda total: Drawn(int(objects)), Path(folder) / "journal")
        found = sum(len(batch) for batch in run.batches())
        assert run.report.asked == side * rows
        assert run.report.whole
        run.close(keep=False)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.monotonic() - began
    print(json.dumps({"tiles": side * rows, "objects": found, "seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
