"""A whole area: 32 x 32 JPEG tiles, padding 24, eight things a tile that a fast predictor outlines, two workers.

One run, so that the ratios are of one moment. The bound decodes each distinct tile once and predicts, on two cores, and
does nothing else: no process of the predictor's own, no outlines made valid, joined or put on the map, no journal.

Usage: run.py [--long]; --long adds what takes minutes: memory at 100,000 tiles, and a million polygons.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import bounds
import numpy as np
import shapely
import world
from rich.console import Console
from rich.table import Table

from playground import area
from playground.area import outputs
from playground.area.engines import Engine
from playground.area.suppression import Suppression, survivors

HERE = Path(__file__).resolve().parent
WORKERS = 2
DELAY_MS = 30
CROWD = 33_000
ROUNDS = 3


class Took(NamedTuple):
    """A run: tiles a second from its call to its end, those since its predictors were loaded, objects, and
    milliseconds of processor time a tile, start included."""

    rate: float
    under_way: float
    objects: int
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="also what takes minutes")
    parser.add_argument("--no-http", action="store_true", help="from the file only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "area.mbtiles"
        world.make(path)
        compare(path, http=not options.no_http)
    crowd()
    if options.long:
        memory()


def compare(path: Path, http: bool) -> None:
    """Each several times, in turn, and the best of each."""
    least = simple = 0.0
    ours, remote = [], []
    for _ in range(ROUNDS):
        rate, outlines = bounds.rate(bounds.bound, str(path))
        least = max(least, rate)
        simple = max(simple, bounds.rate(bounds.naive, str(path))[0])
        ours.append(run(str(path), path.with_name("objects.geojson")))
        if http:
            remote.append(over_http(path))
    table = Table("what", "tiles/s", "of the bound", "of the naive")
    rows = [("the bound", least)]
    for words, runs in (("ours", ours), (f"ours over HTTP, {DELAY_MS} ms", remote)):
        if runs:
            rows.append((f"{words}, its predictors loaded", max(took.under_way for took in runs)))
            rows.append((f"{words}, with its start", max(took.rate for took in runs)))
    rows.append(("naive: nine decodes a tile", simple))
    for words, rate in rows:
        table.add_row(words, f"{rate:,.0f}", f"{rate / least:.2f}", f"{rate / simple:.1f}")
    Console(width=100).print(table)
    least_cpu = min(took.cpu for took in ours)
    print(f"{ours[0].objects:,} objects of {outlines:,} outlines; {least_cpu:.2f} ms of CPU a tile, start included")


def run(tiles: str, out: Path) -> Took:
    """The area, written as GeoJSON."""
    options: dict[str, Any] = {"zoom": world.ZOOM, "padding": bounds.PADDING, "workers": WORKERS, "project": HERE}
    begun, used = time.perf_counter(), cpu()
    done = area.run(world.bbox(), predictor="contours:Contours", tiles=tiles, **options)
    loaded = _when_started(done)
    outputs.write(done.batches(), [str(out)])
    ended = time.perf_counter()
    if not done.report.whole or done.report.asked != world.SIDE**2:
        sys.exit(f"not all tiles were predicted: {done.report.as_dict()}")
    count = world.SIDE**2
    spent = (cpu() - used) / count * 1000
    return Took(count / (ended - begun), count / (ended - loaded[0]), done.report.features, spent)


def _when_started(done: area.AreaRun) -> list[float]:
    """Will hold when the run's engine had loaded its first predictor."""
    moments: list[float] = []
    make = done._make_engine

    def make_and_note(total: int) -> Engine:
        engine = make(total)
        start = engine.start

        def start_and_note() -> None:
            start()
            moments.append(time.perf_counter())

        engine.start = start_and_note  # type: ignore[method-assign]
        return engine

    done._make_engine = make_and_note
    return moments


def cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def over_http(path: Path) -> Took:
    command = [sys.executable, str(HERE.parent / "tiles" / "server.py"), str(path), str(DELAY_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            tiles = f"http://127.0.0.1:{server.stdout.readline().strip()}/{{z}}/{{x}}/{{y}}.jpg"
            return run(tiles, path.with_name("remote.geojson"))
        finally:
            server.terminate()


def crowd() -> None:
    """As many boxes as SAHI counts, on 6,000 x 6,000 pixels, and as clusters of 33 around 1,000 things."""
    chance = np.random.default_rng(1)
    spread = chance.uniform(0, 6000, (CROWD, 2))
    around = np.repeat(chance.uniform(0, 20000, (CROWD // 33, 2)), 33, axis=0) + chance.normal(0, 4, (CROWD, 2))
    for words, corners in (("spread", spread), ("clustered", around)):
        boxes = shapely.box(*corners.T, *(corners + chance.uniform(20, 60, (CROWD, 2))).T)
        confidences = chance.uniform(size=CROWD)
        began = time.perf_counter()
        left = int(survivors(boxes, confidences, ["box"] * CROWD, Suppression("iou", 0.5)).sum())
        print(f"{CROWD:,} boxes, {words}: {left:,} stay, {time.perf_counter() - began:.2f} s")


def memory() -> None:
    """Resident memory of runs of different lengths, each a process of its own."""
    small = synthetic("1000", "3")
    for arguments in (("100000", "3"), ("1000", "11", "iou:0.5"), ("100000", "11", "iou:0.5")):
        found = synthetic(*arguments)
        print(f"  {found['megabytes'] / small['megabytes']:.2f} times the memory of {small['tiles']:,} tiles")


def synthetic(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "synthetic.py"), *arguments]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(
        f"{found['tiles']:,} tiles, {found['objects']:,} polygons{', suppressing' if len(arguments) > 2 else ''}: "
        f"{found['megabytes']:.0f} MB, {found['seconds']:.0f} s"
    )
    return found


if __name__ == "__main__":
    main()
