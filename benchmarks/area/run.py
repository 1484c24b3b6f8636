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
from playground.area.suppression import Suppression, survivors

HERE = Path(__file__).resolve().parent
WORKERS = 2
DELAY_MS = 30
CROWD = 33_000


class Took(NamedTuple):
    """A run: tiles a second from its call to its end, those once the first were done, objects, CPU ms a tile."""

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
    least, objects = bounds.rate(bounds.bound, str(path))
    simple, _ = bounds.rate(bounds.naive, str(path))
    ours = run(str(path))
    table = Table("what", "tiles/s", "of the bound", "of the naive")
    rows = [
        ("the bound", least),
        ("ours, once under way", ours.under_way),
        ("ours, with its start", ours.rate),
        ("naive: nine decodes a tile", simple),
    ]
    if http:
        remote = over_http(path)
        rows += [
            (f"ours over HTTP, {DELAY_MS} ms, under way", remote.under_way),
            (f"ours over HTTP, {DELAY_MS} ms, with its start", remote.rate),
        ]
    for words, rate in rows:
        table.add_row(words, f"{rate:,.0f}", f"{rate / least:.2f}", f"{rate / simple:.1f}")
    console = Console(width=100)
    console.print(table)
    print(f"{ours.objects:,} objects of {objects:,} outlines; {ours.cpu:.2f} ms of CPU a tile, start included")


def run(tiles: str) -> Took:
    begun, used = time.perf_counter(), cpu()
    first: list[tuple[float, int]] = []

    def look(done: area.AreaRun) -> None:
        if not first and done.report.predicted:
            first.append((time.perf_counter(), done.report.predicted))

    options: dict[str, Any] = {"zoom": world.ZOOM, "padding": bounds.PADDING, "workers": WORKERS, "project": HERE}
    done = area.run(world.bbox(), predictor="contours:Contours", tiles=tiles, **options)
    done._observe = look
    objects = sum(len(batch) for batch in done.batches())
    ended = time.perf_counter()
    if not done.report.whole or done.report.asked != world.SIDE**2:
        sys.exit(f"not all tiles were predicted: {done.report.as_dict()}")
    moment, predicted = first[0]
    count = world.SIDE**2
    return Took(count / (ended - begun), (count - predicted) / (ended - moment), objects, (cpu() - used) / count * 1000)


def cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def over_http(path: Path) -> Took:
    command = [sys.executable, str(HERE.parent / "tiles" / "server.py"), str(path), str(DELAY_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            return run(f"http://127.0.0.1:{server.stdout.readline().strip()}/{{z}}/{{x}}/{{y}}.jpg")
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
